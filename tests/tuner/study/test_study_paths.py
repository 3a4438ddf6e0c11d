"""Files and folders that a study names: beside its file first, wherever the command starts."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.specs import QUICK, toy_tree
from trainers.contract import RunSpec, Seeds, Workspace
from trainers.errors import ConfigError, DataError, ModelError
from trainers.models import quiet
from trainers.models.tiny import Tiny
from trainers.train import train_rank
from trainers.train.rank import Rank
from tuner.config import StudyConfig, load_study, parse_study
from tuner.study.run import check_inputs, run_study

FILES = {"kind": "text_file", "train": "train.csv", "test": "test.csv"}
SEEDS = Seeds(init=1, order=1)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Return the study's folder and the data folder; the working folder is a third."""
    made = tmp_path / "study", tmp_path / "data"
    for folder in (*made, tmp_path / "elsewhere"):
        folder.mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return made


def rows(folder: Path, *, word: str = "good") -> Path:
    """Write two splits of a small task."""
    for split in ("train", "test"):
        lines = [f"{word} {n},{'ab'[n % 2]}" for n in range(24)]
        (folder / f"{split}.csv").write_text("\n".join(["text,label", *lines]))
    return folder


def model(folder: Path) -> Path:
    """Write a small checkpoint."""
    with quiet():
        source = Tiny(architecture="bert")
        source.model(("a", "b"), "sdpa").save_pretrained(folder)
        source.tokenizer().save_pretrained(folder)
    return folder


def load(folders: tuple[Path, Path], **changes: Any) -> StudyConfig:
    """Write the study and load it."""
    study, data = folders
    path = study / "study.yaml"
    path.write_text(yaml.safe_dump(toy_tree(**changes)))
    return load_study(path, data_dir=data)


def test_task_files_are_found_beside_the_study_then_in_the_data_folder(
    folders: tuple[Path, Path],
) -> None:
    """So the README's example runs in its folder, and files kept elsewhere stay there."""
    study, data = folders
    config = load(folders, tasks=[FILES | {"name": "t"}])
    rows(data, word="far")
    (task,) = check_inputs(config, data).values()
    far = task[2022]
    rows(study, word="near")
    (task,) = check_inputs(config, data).values()
    assert task[2022] != far


def test_a_joined_tasks_members_are_looked_for_too(folders: tuple[Path, Path]) -> None:
    """Members have no folder of their own."""
    rows(folders[0])
    member = FILES | {"name": "t"}
    config = load(folders, tasks=[{"kind": "joined", "tasks": [member, "toy"]}])
    assert check_inputs(config, folders[1])["joined"]


def test_a_data_folder_of_the_hub_task_is_looked_for_too(folders: tuple[Path, Path]) -> None:
    """An id that is a folder is that folder."""
    rows(folders[0])
    for split in ("train", "test"):
        place = folders[0] / "rows" / f"{split}.csv"
        place.parent.mkdir(exist_ok=True)
        (folders[0] / f"{split}.csv").rename(place)
    config = load(folders, tasks=[{"kind": "hub", "name": "t", "id": "./rows"}])
    assert check_inputs(config, folders[1])["t"]


def test_a_file_that_is_nowhere_is_said_with_every_place(folders: tuple[Path, Path]) -> None:
    """And with the option that names another."""
    study, data = folders
    config = load(folders, tasks=[FILES | {"name": "t"}])
    with pytest.raises(DataError) as caught:
        check_inputs(config, data)
    assert str(caught.value) == (
        f"t: train: train.csv: no such file in {study} or {data}; put it beside the study, or "
        "name its folder with --data-dir or TUNER_DATA_DIR"
    )


def test_without_a_file_the_working_folder_is_the_studys(folders: tuple[Path, Path]) -> None:
    """From Python, a study may be a mapping."""
    config = parse_study(toy_tree(tasks=[FILES | {"name": "t"}]), data_dir=folders[1])
    rows(Path.cwd())
    assert check_inputs(config, folders[1])["t"]


def test_model_folders_are_found_as_task_files_are(folders: tuple[Path, Path]) -> None:
    """`./folder`, a folder's bare name and `~` are all that people write."""
    study, data = folders
    model(study / "near")
    model(data / "far")
    config = load(folders, models=["./near", "far", str(data / "far") + "/../far/"][:2])
    assert [one.name for one in config.models] == ["near", "far"]
    for one in config.models:
        one.check()
        assert one.tokenizer().pad_token
    missing = load(folders, models=["./nowhere"]).models[0]
    with pytest.raises(ModelError, match=rf"^model\.id: \./nowhere: .*{study} or {data}; "):
        missing.check()


def test_a_run_is_the_same_wherever_it_was_started(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The paths stand in it as they were written; the folders do not."""

    def spec() -> RunSpec:
        config = load(folders, tasks=[FILES | {"name": "t"}], models=["./model"])
        return config.spec(task="t", model="model", arm="head", seeds=SEEDS)

    first = spec()
    monkeypatch.chdir("/")
    assert spec().digest() == first.digest()
    assert str(folders[0]) not in first.model_dump_json()
    assert pickle.loads(pickle.dumps(first)).model.folders() == folders


def test_a_runs_process_is_told_where_to_look(folders: tuple[Path, Path]) -> None:
    """Specs cross to it as they were written; the workspace says the folders."""
    study, data = folders
    rows(data)
    model(study / "model")
    config = load(folders, tasks=[FILES | {"name": "t"}], models=["./model"])
    spec = config.spec(task="t", model="model", arm="head", seeds=SEEDS)
    (study / "run").mkdir()
    place = Workspace(
        data_dir=data, folders=folders, cache_dir=study / "cache", run_dir=study / "run"
    )
    crossed = RunSpec.model_validate_json(spec.model_dump_json())
    assert train_rank(crossed, lambda event: None, place, rank=Rank()).validation


def test_a_study_of_relative_paths_runs_and_is_not_run_again_from_another_folder(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that a study does finds its files: the check, the runs, and the resumption."""
    study, data = folders
    rows(study)
    model(data / "model")
    arms = {"head": {"method": "head"}}
    changes = {"tasks": [FILES | {"name": "t"}], "models": ["model"], "arms": arms}
    train, confirm = QUICK | {"epochs": 1}, {"seeds": [1]}
    said: list[bool] = []
    for folder in (".", "/"):
        monkeypatch.chdir(folder)
        config = load(folders, train=train, confirm=confirm, **changes)
        run_study(
            config,
            store=study / "mlruns",
            data_dir=data,
            tracking="none",
            watch=lambda notice: (
                said.append(notice.reused) if notice.state == "finished" else None
            ),
        )
    assert said == [False, True]


def test_a_deepspeed_file_is_found_beside_the_study(folders: tuple[Path, Path]) -> None:
    """Its content is part of the study, wherever it stands."""
    study, data = folders
    content = {"zero_optimization": {"stage": 1}}
    for folder in (study, data):
        (folder / "ds.json").write_text(json.dumps(content | {"gradient_clipping": 1.0}))
    changes = {"executor": {"kind": "process"}, "deepspeed": "ds.json"}
    assert load(folders, **changes).deepspeed == content | {"gradient_clipping": 1.0}
    (study / "ds.json").unlink()
    assert load(folders, **changes).deepspeed == content | {"gradient_clipping": 1.0}
    (data / "ds.json").unlink()
    with pytest.raises(ConfigError, match=rf"deepspeed: ds\.json: .*{study} or {data}; "):
        load(folders, **changes)
