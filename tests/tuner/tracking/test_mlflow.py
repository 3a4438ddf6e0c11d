"""The MLflow tracker keeps the contract, and the stock client and UI see what they should."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient
from tuner.tracking.mlflow import MlflowTracker

from tests.tracker_contract import (
    STUDY,
    YAML,
    LoggedValue,
    Place,
    TrackerContract,
    make_events,
    make_group,
    make_result,
    make_spec,
)
from trainers.contract import RunEvent
from tuner.tracking import Tracker, locate_store, open_tracker
from tuner.tracking.client_reader import ClientReader


class _MlflowPlace(Place):
    def __init__(self, store: Path) -> None:
        self.store = store

    def open(self) -> Tracker:
        return open_tracker(self.store)

    def history(self, run_id: str, name: str) -> list[LoggedValue]:
        points = _client(self.store).get_metric_history(run_id, name)
        return [LoggedValue(p.step, p.timestamp / 1000, p.value) for p in points]


class TestMlflowTracker(TrackerContract):
    """The contract, on a real SQLite store."""

    @pytest.fixture
    def place(self, store: Path) -> Place:
        """Return an empty store."""
        return _MlflowPlace(store)


class TestReadingThroughTheClient(TrackerContract):
    """The contract, on a store whose database this project would not know how to read."""

    @pytest.fixture
    def place(self, store: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
        """Return an empty store."""
        monkeypatch.setattr("tuner.tracking.mlflow.open_sql_reader", lambda *_: None)
        return _MlflowPlace(store)


@pytest.fixture
def tracker(store: Path) -> MlflowTracker:
    """Return a tracker with an open study."""
    tracker = MlflowTracker(store)
    tracker.open_study(STUDY, YAML)
    return tracker


@pytest.fixture
def client(store: Path) -> MlflowClient:
    """Return the stock client."""
    return _client(store)


@pytest.mark.parametrize(
    ("state", "status", "name"),
    [
        ("finished", "FINISHED", "lora · trial 3 · seed 7"),
        ("pruned", "KILLED", "lora · trial 3 · seed 7 (pruned)"),
        ("failed", "FAILED", "lora · trial 3 · seed 7"),
        ("killed", "KILLED", "lora · trial 3 · seed 7"),
    ],
)
def test_the_stock_client_sees_how_a_run_ended(
    tracker: MlflowTracker, client: MlflowClient, state: str, status: str, name: str
) -> None:
    """MLflow's status is true, and the name tells a pruned run."""
    parent_id = tracker.open_group(make_group("lora", trial=3), {})
    run_id = tracker.open_run(parent_id, make_spec(), adopt=False)
    tracker.close_run(run_id, state=state, reason="why")  # type: ignore[arg-type]
    run = client.get_run(run_id)
    assert (run.info.status, run.info.run_name) == (status, name)
    assert run.data.tags["tuner.state"] == state
    assert run.data.tags["tuner.reason"] == "why"
    assert run.info.end_time >= run.info.start_time


def test_a_pruned_run_that_is_adopted_is_pruned_once_in_its_name(
    tracker: MlflowTracker, client: MlflowClient, store: Path
) -> None:
    """While it is replayed the run is running under its plain name."""
    group, spec = make_group("lora", trial=3), make_spec()
    run_id = tracker.open_run(tracker.open_group(group, {}), spec, adopt=False)
    tracker.close_run(run_id, state="pruned")
    second = MlflowTracker(store)
    second.open_study(STUDY, YAML)
    second.open_run(second.open_group(group, {}), spec, adopt=True)
    info = client.get_run(run_id).info
    assert (info.status, info.run_name) == ("RUNNING", "lora · trial 3 · seed 7")
    second.close_run(run_id, state="pruned")
    assert client.get_run(run_id).info.run_name == "lora · trial 3 · seed 7 (pruned)"


def test_tags_params_and_parent_are_there_for_the_stock_ui(
    tracker: MlflowTracker, client: MlflowClient
) -> None:
    """Child runs nest under a parent that carries params, summary and the resolved study."""
    group, spec = make_group("full", trial=None), make_spec()
    parent_id = tracker.open_group(group, {"train.epochs": "3"})
    run_id = tracker.open_run(parent_id, spec, adopt=False)
    tracker.log(run_id, make_events())
    tracker.close_run(run_id, state="finished", result=make_result())
    tracker.close_group(parent_id, state="finished", metrics={"test/macro_f1_mean": 0.4})
    tags = client.get_run(run_id).data.tags
    expected = {
        "tuner.task": "toy",
        "tuner.model": "tiny-bert",
        "tuner.arm": "full",
        "tuner.phase": "confirm",
        "tuner.cell": "c0ffee",
        "tuner.seed": "7",
        "tuner.digest": spec.digest(),
        "mlflow.parentRunId": parent_id,
        "mlflow.source.git.commit": "f00d",
        "tuner.fact.torch": "2",
    }
    assert {name: tags.get(name) for name in expected} == expected
    assert "tuner.trial" not in tags
    parent = client.get_run(parent_id)
    assert (parent.info.status, parent.info.run_name) == ("FINISHED", "full · confirm")
    assert parent.data.params == {"train.epochs": "3"}
    assert parent.data.metrics == {"test/macro_f1_mean": 0.4}
    path = client.download_artifacts(parent_id, "study.yaml")
    assert Path(path).read_text() == YAML
    experiment = client.get_experiment_by_name(STUDY)
    assert experiment is not None
    assert experiment.tags["tuner.study"] == YAML


def test_names_say_task_and_model_in_a_study_with_several(store: Path) -> None:
    """One task and model are not repeated in every name; two are told apart."""
    tracker = MlflowTracker(store)
    tracker.open_study(STUDY, "tasks: [toy, bbc]\nmodels: [tiny-bert]\n")
    parent_id = tracker.open_group(make_group("lora", trial=3), {})
    assert _client(store).get_run(parent_id).info.run_name == "toy · tiny-bert · lora · trial 3"


def test_splits_are_logged_as_data_sets_with_their_digests(
    tracker: MlflowTracker, client: MlflowClient
) -> None:
    """The UI's data set column gets the task, the context and the digest, cut to its limit."""
    run_id = tracker.open_run(tracker.open_group(make_group(), {}), make_spec(), adopt=False)
    tracker.log(run_id, make_events())
    tracker.close_run(run_id, state="finished", result=make_result())
    inputs = client.get_run(run_id).inputs.dataset_inputs
    found = {(i.tags[0].value, i.dataset.name, i.dataset.digest) for i in inputs}
    assert found == {("train", "toy", "ab" * 18), ("test", "toy", "cd" * 18)}


def test_the_files_of_a_run_become_its_artifacts(
    tracker: MlflowTracker, client: MlflowClient, tmp_path: Path
) -> None:
    """Known files are kept, stderr only of a failed run, and nothing else."""
    for name in ("spec.json", "predictions.parquet", "stderr.log", "best.pt"):
        (tmp_path / name).write_text(name)
    parent_id = tracker.open_group(make_group(), {})
    kept: dict[str, set[str]] = {}
    for seed, state in enumerate(("finished", "failed")):
        run_id = tracker.open_run(parent_id, make_spec(seed), adopt=False)
        tracker.close_run(run_id, state=state, folder=tmp_path)  # type: ignore[arg-type]
        kept[state] = {artifact.path for artifact in client.list_artifacts(run_id)}
    assert kept["finished"] == {"spec.json", "predictions.parquet"}
    assert kept["failed"] == {"spec.json", "predictions.parquet", "stderr.log"}


def test_a_long_param_is_cut_with_a_note(tracker: MlflowTracker) -> None:
    """7,000 characters become 6,000 that say so, and a second launcher can adopt the run."""
    spec = make_spec().model_copy(update={"metric": "m" * 7_000})
    parent_id = tracker.open_group(make_group(), {"metric": "m" * 7_000})
    tracker.open_run(parent_id, spec, adopt=False)
    tracker.open_run(parent_id, spec, adopt=True)
    (record,) = tracker.runs(STUDY)
    assert len(record.params["metric"]) == 6_000
    assert record.params["metric"].endswith("m ... (cut from 7000 characters)")


@pytest.mark.parametrize("name", ["a//b", "/a", "a/../b", ".", "é & ü", "x" * 400, "f1/<b>|%"])
def test_any_label_makes_a_metric_that_mlflow_takes(tracker: MlflowTracker, name: str) -> None:
    """Whatever a task's label holds, its metric is stored."""
    run_id = tracker.open_run(tracker.open_group(make_group(), {}), make_spec(), adopt=False)
    tracker.log(run_id, [RunEvent(kind="step", time=1.0, metrics={name: 0.5})])
    (record,) = tracker.runs(STUDY)
    assert list(record.metrics.values()) == [0.5]


def test_a_kept_model_loads_in_one_line(
    store: Path,
    client: MlflowClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`runs:/<id>/model` opens the saved folder through the loader module, without a warning."""
    import mlflow

    loader = "tests.tuner.tracking.stand_in_loader"
    tracker = MlflowTracker(store, loader_module=loader)
    tracker.open_study(STUDY, YAML)
    run_id = tracker.open_run(tracker.open_group(make_group(), {}), make_spec(), adopt=False)
    tracker.close_run(run_id, state="finished")
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "word.txt").write_text("hello")
    tracker.log_model(run_id, folder)
    assert len(client.get_run(run_id).outputs.model_outputs) == 1
    monkeypatch.setenv("MLFLOW_TRACKING_URI", locate_store(store).tracking_uri)
    with caplog.at_level(logging.WARNING):
        model = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
    assert model.predict(["world"]) == ["hello world"]
    assert caplog.records == []
    requirements = Path(mlflow.pyfunc.get_model_dependencies(f"runs:/{run_id}/model")).read_text()
    assert {"mlflow", "torch", "transformers", "peft"} <= {
        line.partition("==")[0] for line in requirements.splitlines()
    }


def _keep(folder: Path) -> Path:
    """Leave a model in a folder, as a run does."""
    (folder / "weights").mkdir(parents=True)
    (folder / "weights" / "model.safetensors").write_bytes(b"w" * 1000)
    (folder / "spec.json").write_text("{}")
    return folder


def test_the_weights_of_a_kept_model_lie_on_the_disk_once(
    tracker: MlflowTracker, store: Path, tmp_path: Path
) -> None:
    """The run's files become MLflow's, without being copied; the run's folder keeps none."""
    run_id = tracker.open_run(tracker.open_group(make_group(), {}), make_spec(), adopt=False)
    folder = _keep(tmp_path / "run" / "model")
    inode = (folder / "weights" / "model.safetensors").stat().st_ino
    tracker.log_model(run_id, folder)
    (weights,) = tmp_path.rglob("model.safetensors")
    assert weights.is_relative_to(store / "artifacts")
    assert (weights.stat().st_ino, weights.stat().st_nlink) == (inode, 1)
    assert not folder.exists()


def test_weights_are_copied_where_a_file_has_one_name_alone(
    tracker: MlflowTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store on another disk, or on one without hard links, gets its model too."""

    def refuse(*paths: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    run_id = tracker.open_run(tracker.open_group(make_group(), {}), make_spec(), adopt=False)
    tracker.log_model(run_id, _keep(tmp_path / "run" / "model"))
    (weights,) = tmp_path.rglob("model.safetensors")
    assert weights.read_bytes() == b"w" * 1000


class _Dead(BaseException):
    pass


def _die(*arguments: object, **options: object) -> None:
    raise _Dead


@pytest.mark.parametrize(
    ("name", "stand_in"),
    [("list_requirements", _die), ("shutil", SimpleNamespace(rmtree=_die))],
    ids=["before MLflow has it", "after"],
)
def test_a_launcher_that_dies_while_it_keeps_a_model_loses_nothing(
    tracker: MlflowTracker,
    store: Path,
    client: MlflowClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    stand_in: object,
) -> None:
    """The next launcher finds the run's folder whole, and keeps it once."""
    spec = make_spec()
    parent_id = tracker.open_group(make_group(), {})
    run_id = tracker.open_run(parent_id, spec, adopt=False)
    folder = _keep(tmp_path / "run" / "model")
    monkeypatch.setattr(f"tuner.tracking.mlflow.{name}", stand_in)
    with pytest.raises(_Dead):
        tracker.log_model(run_id, folder)
    monkeypatch.undo()
    assert (folder / "weights" / "model.safetensors").read_bytes() == b"w" * 1000
    second = MlflowTracker(store)
    second.open_study(STUDY, YAML)
    adopted = second.open_run(second.open_group(make_group(), {}), spec, adopt=True)
    second.log_model(adopted, folder)
    assert adopted == run_id
    assert len(client.get_run(run_id).outputs.model_outputs) == 1
    (weights,) = tmp_path.rglob("model.safetensors")
    assert weights.is_relative_to(store / "artifacts")
    assert weights.read_bytes() == b"w" * 1000


def test_a_model_left_behind_after_it_was_kept_is_mlflows(
    tracker: MlflowTracker, tmp_path: Path
) -> None:
    """A launcher died between the two, or version 0.1 kept both: one is left, and it is whole."""
    run_id = tracker.open_run(tracker.open_group(make_group(), {}), make_spec(), adopt=False)
    tracker.log_model(run_id, _keep(tmp_path / "run" / "model"))
    (weights,) = tmp_path.rglob("model.safetensors")
    weights.unlink()
    tracker.log_model(run_id, _keep(tmp_path / "run" / "model"))
    assert list(tmp_path.rglob("model.safetensors")) == [weights]


def test_runs_made_by_hand_are_passed_over(tracker: MlflowTracker, client: MlflowClient) -> None:
    """A user's own run in the experiment is neither read nor adopted."""
    experiment = client.get_experiment_by_name(STUDY)
    assert experiment is not None
    client.create_run(experiment.experiment_id, tags={"mine": "1"})
    assert tracker.runs(STUDY) == []


def test_a_run_whose_params_were_not_logged_is_adopted_with_them(
    tracker: MlflowTracker, client: MlflowClient, store: Path
) -> None:
    """A launcher that died between making a run and logging its params does no harm."""
    group, spec = make_group(), make_spec()
    parent_id = tracker.open_group(group, {})
    run_id = tracker.open_run(parent_id, spec, adopt=False)
    tags = client.get_run(run_id).data.tags
    info = client.get_run(run_id).info
    client.delete_run(run_id)
    bare = client.create_run(info.experiment_id, tags=tags).info.run_id
    second = MlflowTracker(store)
    second.open_study(STUDY, YAML)
    assert second.open_run(second.open_group(group, {}), spec, adopt=True) == bare
    (record,) = second.runs(STUDY)
    assert record.params == spec.flat()


def test_more_runs_than_a_page_are_all_read(
    tracker: MlflowTracker, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paging loses and doubles nothing."""
    monkeypatch.setattr("tuner.tracking.client_reader._PAGE", 2)
    parent_id = tracker.open_group(make_group(), {})
    made = {tracker.open_run(parent_id, make_spec(seed), adopt=False) for seed in range(5)}
    read = [record.run_id for record in ClientReader(client).runs(STUDY)]
    assert len(read) == 5
    assert set(read) == made


def test_a_new_store_is_made_without_a_word(tmp_path: Path) -> None:
    """In a relative folder, a fresh process writes nothing to stdout or stderr."""
    code = (
        "from tuner.tracking import open_tracker\n"
        "tracker = open_tracker('my runs')\n"
        "tracker.open_study('s', 'tasks: [toy]')\n"
    )
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r})\n{code}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my runs"]
    assert MlflowTracker(tmp_path / "my runs").studies() == ["s"]


def test_importing_the_door_does_not_import_mlflow() -> None:
    """`tuner --help` stays quick."""
    code = "import sys, tuner.tracking; print([m for m in sys.modules if m == 'mlflow'])"
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_call_costs_one_request(tracker: MlflowTracker) -> None:
    """Thirty values are logged in well under a second, as one batch."""
    run_id = tracker.open_run(tracker.open_group(make_group(), {}), make_spec(), adopt=False)
    started = time.perf_counter()
    tracker.log(run_id, make_events(steps=28))
    milliseconds = 1000 * (time.perf_counter() - started)
    print(f"30 values: {milliseconds:.0f} ms")
    assert milliseconds < 1000


def _client(store: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=locate_store(store).tracking_uri)
