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

from tests.disks import make_read_only, small_disk
from tests.tuner.tracking.projections import STUDY, desk, make_group, make_spec
from tuner.store.location import Store
from tuner.tracking import keep_report, locate_store, open_reader
from tuner.tracking.client_reader import open_client_reader
from tuner.tracking.moved import settle, settle_or_warn

CONFIRM = make_group(trial=None)


@pytest.fixture
def run_id(store: Path, tmp_path: Path) -> str:
    """Return MLflow's name of a run that kept predictions and a model, beside a report."""
    return _fill(store, tmp_path / "left")


def _fill(store: Path, left: Path) -> str:
    left.mkdir()
    (left / "report.md").write_text("table")
    with desk(store) as table:
        table.open_study()
        attempt = table.begin(make_spec(1), CONFIRM)
        (table.folder(attempt) / "predictions.parquet").write_text("rows")
        table.end(attempt)
        table.leave_model(attempt)
        table.project()
    keep_report(Store(store), None, STUDY, left)
    (record,) = open_reader(store).runs(STUDY)
    return record.run_id


def _go_on(store: Path) -> None:
    """Do a second run, as one more launcher."""
    with desk(store) as table:
        table.open_study()
        attempt = table.begin(make_spec(2), CONFIRM)
        (table.folder(attempt) / "predictions.parquet").write_text("rows")
        table.end(attempt)
        table.project()


def _path(store: Path, run_id: str) -> Path | None:
    """Return where the report finds a run's predictions."""
    reader = open_reader(store)
    reader.runs(STUDY)
    return reader.artifact(run_id, "predictions.parquet")


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
    if way == "launcher":
        _go_on(moved)
        assert len(open_reader(moved).runs(STUDY)) == 2
    path = _path(moved, run_id)
    assert path is not None
    assert path.is_relative_to(moved)
    assert path.read_text() == "rows"
    (tmp_path / "left" / "report.md").write_text("another table")
    kept = keep_report(Store(moved), None, STUDY, tmp_path / "left")
    report = moved / "artifacts" / kept / "artifacts" / "report.md"
    assert report.read_text() == "another table"
    _check_by_mlflow(moved, run_id, monkeypatch)
    assert not store.exists()


def test_a_copy_has_its_own_files_and_the_first_stays_as_it_was(
    store: Path, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where both are there, and the copy is reached by a link."""
    copy = Path(shutil.copytree(store, tmp_path / "copy"))
    before = {path: path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}
    link = tmp_path / "link"
    link.symlink_to(copy)
    _go_on(link)
    path = _path(link, run_id)
    assert path is not None
    assert path.resolve().is_relative_to(copy)
    _check_by_mlflow(copy, run_id, monkeypatch)
    after = {path: path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}
    assert after == before
    _check_by_mlflow(store, run_id, monkeypatch)
    assert len(open_reader(copy).runs(STUDY)) == 2
    assert len(open_reader(store).runs(STUDY)) == 1


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
    assert open_client_reader(moved).artifact(run_id, "predictions.parquet") is not None


def test_files_that_only_the_place_named_has_are_read_there(store: Path, tmp_path: Path) -> None:
    """A study whose files somebody keeps elsewhere, or runs made before a move was noticed."""
    elsewhere = tmp_path / "elsewhere" / "artifacts"
    client = MlflowClient(locate_store(store).tracking_uri)
    client.create_experiment(STUDY, artifact_location=elsewhere.as_uri())
    run_id = _fill(store, tmp_path / "left")
    path = open_client_reader(store).artifact(run_id, "predictions.parquet")
    assert path == elsewhere / run_id / "artifacts" / "predictions.parquet"
    assert client.list_artifacts(run_id)


def test_a_store_on_a_disk_that_cannot_be_written_to_is_read(
    store: Path, run_id: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its files are found beside its database, which still has the first place."""
    with small_disk(tmp_path / "disk", "20m") as disk:
        moved = Path(shutil.copytree(store, disk / "store"))
        shutil.rmtree(store)
        make_read_only(disk)
        assert not settle(moved)
        settle_or_warn(moved)
        (said,) = caplog.messages
        assert "MLflow's own pages look for the runs' files in the store's former place" in said
        assert [run.run_id for run in open_reader(moved).runs(STUDY)] == [run_id]
        path = _path(moved, run_id)
        assert path is not None
        assert path.read_text() == "rows"


def test_what_a_killed_launcher_left_is_written_from_the_new_place(
    store: Path, tmp_path: Path
) -> None:
    """The files and the model of its run are found in the store that was moved."""
    with desk(store) as table:
        attempt = table.do(make_spec(1), CONFIRM)
        (table.folder(attempt) / "predictions.parquet").write_text("rows")
        table.leave_model(attempt)
    moved = store.rename(tmp_path / "moved")
    with desk(moved) as table:
        table.project()
        run = table.found()["full · confirm · seed 1"]
    assert run.outputs.model_outputs
    reader = open_client_reader(moved)
    assert reader.artifact(run.info.run_id, "predictions.parquet") is not None
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
