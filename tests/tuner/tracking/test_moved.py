"""A store that was moved or copied is whole in its new place, and the first is let be."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from tuner.tracking.call_file import CallFile
from tuner.tracking.calls import CloseRun, LogModel, OpenGroup, OpenRun
from tuner.tracking.mlflow import MlflowTracker

from tests.disks import make_read_only, small_disk
from tests.tracker_contract import STUDY, YAML, make_group, make_result, make_spec
from tuner.tracking import (
    Tracker,
    locate_store,
    log_report,
    open_folder,
    open_reader,
    open_tracker,
    report_folder,
)
from tuner.tracking.moved import settle, settle_or_say

LOADER = "tests.tuner.tracking.stand_in_loader"


@pytest.fixture
def run_id(store: Path, tmp_path: Path) -> str:
    """Return a run of the store that kept predictions and a model, beside a report."""
    return _fill(store, tmp_path / "left")


def _fill(store: Path, left: Path) -> str:
    (left / "model").mkdir(parents=True)
    (left / "model" / "word.txt").write_text("hello")
    (left / "predictions.parquet").write_text("rows")
    (left / "report.md").write_text("table")
    tracker = MlflowTracker(store, loader_module=LOADER)
    tracker.open_study(STUDY, YAML)
    run_id = _do_run(tracker, 1, left)
    tracker.log_model(run_id, left / "model")  # which takes it over
    tracker.log_report(STUDY, left)
    return run_id


def _do_run(tracker: Tracker, seed: int, left: Path) -> str:
    parent_id = tracker.open_group(make_group(trial=None), {})
    run_id = tracker.open_run(parent_id, make_spec(seed), adopt=False)
    tracker.close_run(run_id, state="finished", result=make_result(), folder=left)
    return run_id


def _check_by_mlflow(store: Path, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """See that MLflow's own client finds files and model where the database says."""
    uri = locate_store(store).tracking_uri
    client = MlflowClient(uri)
    assert {file.path for file in client.list_artifacts(run_id)} >= {"predictions.parquet"}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    model = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
    assert model.predict(["world"]) == ["hello world"]


@pytest.mark.parametrize("way", ["report", "launcher"])
def test_a_moved_store_has_its_files_and_writes_nothing_into_the_first_place(
    way: str, store: Path, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For our reader and MLflow's client, whichever command comes first; new runs are in it."""
    moved = store.rename(tmp_path / "an other störe 100%")
    if way == "report":
        path = open_reader(moved).artifact(run_id, "predictions.parquet")
        assert path is not None
        assert path.is_relative_to(moved)
        assert path.read_text() == "rows"
    else:
        tracker = open_tracker(moved)
        tracker.open_study(STUDY, YAML)
        second = _do_run(tracker, 2, tmp_path / "left")
        path = tracker.artifact(second, "predictions.parquet")
        assert path is not None
        assert path.is_relative_to(moved)
    _check_by_mlflow(moved, run_id, monkeypatch)
    kept = report_folder(moved, STUDY)
    assert kept is not None
    assert (kept / "report.md").read_text() == "table"
    (tmp_path / "left" / "report.md").write_text("another table")
    log_report(moved, STUDY, tmp_path / "left")
    assert (kept / "report.md").read_text() == "another table"
    assert kept.is_relative_to(moved)
    assert not store.exists()


def test_a_copy_has_its_own_files_and_the_first_stays_as_it_was(
    store: Path, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where both are there, and the copy is reached by a link."""
    copy = Path(shutil.copytree(store, tmp_path / "copy"))
    before = (store / "mlflow.db").read_bytes()
    link = tmp_path / "link"
    link.symlink_to(copy)
    path = open_reader(link).artifact(run_id, "predictions.parquet")
    assert path is not None
    assert path.resolve().is_relative_to(copy)
    (copy / "artifacts" / run_id / "artifacts" / "predictions.parquet").write_text("own rows")
    assert path.read_text() == "own rows"
    _check_by_mlflow(copy, run_id, monkeypatch)
    _check_by_mlflow(store, run_id, monkeypatch)
    assert (store / "mlflow.db").read_bytes() == before


def test_launchers_that_open_a_moved_store_at_once_agree(
    store: Path, run_id: str, tmp_path: Path
) -> None:
    """Each finds it whole; what is right is not written again."""
    moved = store.rename(tmp_path / "moved")
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(settle, [moved] * 4)) == [True] * 4
    before = (moved / "mlflow.db").stat().st_mtime_ns
    assert settle(moved)
    assert (moved / "mlflow.db").stat().st_mtime_ns == before
    assert open_reader(moved).artifact(run_id, "predictions.parquet") is not None


def test_files_that_only_the_place_named_has_are_read_there(store: Path, tmp_path: Path) -> None:
    """A study whose files somebody keeps elsewhere, or runs made before a move was noticed."""
    elsewhere = tmp_path / "elsewhere" / "artifacts"
    client = MlflowClient(locate_store(store).tracking_uri)
    client.create_experiment(STUDY, artifact_location=elsewhere.as_uri())
    run_id = _fill(store, tmp_path / "left")
    path = open_reader(store).artifact(run_id, "predictions.parquet")
    assert path == elsewhere / run_id / "artifacts" / "predictions.parquet"
    assert client.list_artifacts(run_id)


def test_a_store_on_a_disk_that_cannot_be_written_to_is_read(
    store: Path, run_id: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its files are found beside its database, which goes on to name the first place."""
    with small_disk(tmp_path / "disk", "20m") as disk:
        moved = Path(shutil.copytree(store, disk / "store"))
        shutil.rmtree(store)
        make_read_only(disk)
        assert not settle(moved)
        settle_or_say(moved)
        (said,) = caplog.messages
        assert "MLflow's own pages look for the runs' files where the store was first" in said
        reader = open_reader(moved)
        assert [run.run_id for run in reader.runs(STUDY)] == [run_id]
        path = reader.artifact(run_id, "predictions.parquet")
        assert path is not None
        assert path.read_text() == "rows"


def test_what_a_killed_launcher_left_is_written_from_the_new_place(
    store: Path, tmp_path: Path
) -> None:
    """The files and the model of its run are found in the store that was moved."""
    open_tracker(store).open_study(STUDY, YAML)
    spec = make_spec()
    folder = store / "runs" / spec.digest()
    (folder / "model").mkdir(parents=True)
    (folder / "predictions.parquet").write_text("rows")
    group = OpenGroup(id="g", group=make_group(trial=None), params={})
    run = OpenRun(id="r", group_id="g", spec=spec, adopt=False, extra={})
    end = CloseRun(id="r", state="finished", reason="", result=make_result(), folder=folder)
    file = CallFile(store / "outbox", "mlflow.db", STUDY)
    file.add(group, [group])
    for call in (run, end, LogModel(id="r", folder=folder / "model")):
        file.add(call, [group, run])
    file.leave()
    moved = store.rename(tmp_path / "moved")
    open_folder(moved, outbox=moved / "outbox").open_study(STUDY, YAML)
    (record,) = open_reader(moved).runs(STUDY)
    assert open_reader(moved).artifact(record.run_id, "predictions.parquet") is not None
    assert MlflowClient(locate_store(moved).tracking_uri).get_run(record.run_id).outputs
    assert not store.exists()


def test_what_is_of_no_study_moves_with_the_store_it_was_in(
    store: Path, run_id: str, tmp_path: Path
) -> None:
    """The experiment `Default` does, which MLflow makes; another's place of its own stays."""
    with contextlib.closing(sqlite3.connect(store / "mlflow.db")) as database, database:
        database.execute(
            "UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0",
            (str(store / "0"),),
        )
    client = MlflowClient(locate_store(store).tracking_uri)
    client.create_experiment("other", artifact_location=(tmp_path / "other").as_uri())
    moved = store.rename(tmp_path / "moved")
    assert settle(moved)
    client = MlflowClient(locate_store(moved).tracking_uri)
    places = {one.name: one.artifact_location for one in client.search_experiments()}
    assert places["Default"] == str(moved / "0")
    assert places["other"] == (tmp_path / "other").as_uri()
