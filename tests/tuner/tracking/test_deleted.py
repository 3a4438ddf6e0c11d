"""What is deleted or renamed in MLflow while a study goes on costs its own record at most."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.servers import MlflowServer
from tests.tracker_contract import STUDY, YAML, make_events, make_group, make_result, make_spec
from tuner.tracking import Tracker, locate_store, open_reader, open_tracker


@pytest.fixture(params=["folder", "server"])
def place(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the address of a store, and of an MLflow server."""
    if request.param == "folder":
        yield str(request.getfixturevalue("store"))
    else:
        server: MlflowServer = request.getfixturevalue("server")
        yield server.address


@pytest.fixture
def client(place: str) -> MlflowClient:
    """Return what a user deletes with, as MLflow's pages do."""
    return MlflowClient(locate_store(place).tracking_uri)


def _begin(place: str) -> tuple[Tracker, str, str]:
    tracker = open_tracker(place)
    tracker.open_study(STUDY, YAML)
    group_id = tracker.open_group(make_group(), {"train.epochs": "3"})
    run_id = tracker.open_run(group_id, make_spec(), adopt=False)
    tracker.log(run_id, make_events())
    return tracker, group_id, run_id


def _finish(tracker: Tracker, group_id: str, run_id: str, folder: Path) -> None:
    (folder / "predictions.parquet").write_text("rows")
    tracker.close_run(run_id, state="finished", result=make_result(), folder=folder)
    tracker.close_group(group_id, state="finished", metrics={"validation/loss_mean": 0.5})
    tracker.settle()


def _runs(client: MlflowClient) -> list[Run]:
    experiment = client.get_experiment_by_name(STUDY)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def _check_whole(place: str, client: MlflowClient) -> None:
    """See one parent and one run below it, with its curve, its numbers and its files."""
    parent, run = sorted(_runs(client), key=lambda run: "mlflow.parentRunId" in run.data.tags)
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.data.metrics == {"validation/loss_mean": 0.5}
    assert (parent.info.status, run.info.status) == ("FINISHED", "FINISHED")
    reader = open_reader(place)
    (record,) = reader.runs(STUDY)
    assert record.state == "finished"
    assert record.params == make_spec().flat()
    assert record.metrics["test/macro_f1"] == 0.4
    (curve,) = reader.curves([record.run_id], ["train/loss"])
    assert curve.steps == (1, 2, 3)
    assert reader.artifact(record.run_id, "predictions.parquet") is not None


@pytest.mark.parametrize("what", ["run", "parent", "both", "experiment", "name"])
def test_what_is_deleted_while_it_goes_on_is_there_in_the_end(
    what: str, place: str, client: MlflowClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A run, its parent, both, the whole experiment: the study goes on, and a line says it."""
    tracker, group_id, run_id = _begin(place)
    experiment = client.get_experiment_by_name(STUDY)
    assert experiment is not None
    if what in ("run", "both"):
        client.delete_run(run_id)
    if what in ("parent", "both"):
        client.delete_run(group_id)
    if what == "experiment":
        client.delete_experiment(experiment.experiment_id)
    if what == "name":
        client.rename_experiment(experiment.experiment_id, "another name")
    _finish(tracker, group_id, run_id, tmp_path)
    _check_whole(place, client)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("tuner")]
    assert len(said) == (2 if what == "both" else 1)
    assert all(line.startswith(f"MLflow study {STUDY}: ") and "\n" not in line for line in said)
    again = open_tracker(place)
    again.open_study(STUDY, YAML)
    assert again.open_run(again.open_group(make_group(), {}), make_spec(), adopt=True)
    assert len(again.runs(STUDY)) == 1


def test_a_run_that_was_entered_again_does_not_come_back_with_its_experiment(
    place: str, client: MlflowClient, tmp_path: Path
) -> None:
    """Restoring an experiment restores its runs, deleted before or not; the run stays one."""
    tracker, group_id, run_id = _begin(place)
    client.delete_run(run_id)
    tracker.log(run_id, make_events(steps=4))
    experiment = client.get_experiment_by_name(STUDY)
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    tracker.log(run_id, make_events())
    _finish(tracker, group_id, run_id, tmp_path)
    (record,) = open_reader(place).runs(STUDY)
    assert record.run_id != run_id


def test_an_experiment_deleted_for_good_is_made_anew(store: Path, tmp_path: Path) -> None:
    """As `mlflow gc` does: what goes on is entered into a new one."""
    client = MlflowClient(locate_store(store).tracking_uri)
    tracker, group_id, run_id = _begin(str(store))
    with closing(sqlite3.connect(store / "mlflow.db")) as database:
        names = "SELECT name FROM sqlite_master WHERE type = 'table'"
        for (name,) in database.execute(names).fetchall():
            if name not in ("alembic_version", "workspaces"):
                database.execute(f"DELETE FROM {name}")
        database.commit()
    _finish(tracker, group_id, run_id, tmp_path)
    _check_whole(str(store), client)


@pytest.mark.parametrize("what", ["parent", "experiment"])
def test_what_is_deleted_between_two_starts_does_not_stop_the_next(
    what: str, place: str, client: MlflowClient, tmp_path: Path
) -> None:
    """An experiment is restored; runs come under a new parent, and are no run twice."""
    tracker, group_id, run_id = _begin(place)
    _finish(tracker, group_id, run_id, tmp_path)
    experiment = client.get_experiment_by_name(STUDY)
    assert experiment is not None
    if what == "parent":
        client.delete_run(group_id)
    else:
        client.delete_experiment(experiment.experiment_id)
    again = open_tracker(place)
    again.open_study(STUDY, YAML)
    parent_id = again.open_group(make_group(), {})
    run_id = again.open_run(parent_id, make_spec(), adopt=True)
    _finish(again, parent_id, run_id, tmp_path)
    _check_whole(place, client)


def test_an_experiment_renamed_between_two_starts_is_left_alone_and_named(
    place: str, client: MlflowClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The study goes on in a new one; a later start has nothing to say."""
    _finish(*_begin(place), tmp_path)
    experiment = client.get_experiment_by_name(STUDY)
    assert experiment is not None
    client.rename_experiment(experiment.experiment_id, "kept for the paper")
    client.create_experiment("of another program")
    _finish(*_begin(place), tmp_path)
    open_tracker(place).open_study(STUDY, YAML)
    (said,) = [r.getMessage() for r in caplog.records if r.name.startswith("tuner")]
    assert said.startswith(f"MLflow study {STUDY}: its experiment was renamed to 'kept for the p")
    _check_whole(place, client)
    assert len(client.search_runs([experiment.experiment_id])) == 2


@pytest.mark.parametrize("tag", ["tuner.digest", "mlflow.parentRunId", "tuner.seeds", "tuner.arm"])
def test_a_run_without_one_of_its_tags_is_left_out(tag: str, store: Path, tmp_path: Path) -> None:
    """Of what is read, and of what the next start goes on with; the others stay."""
    client = MlflowClient(locate_store(store).tracking_uri)
    tracker, group_id, run_id = _begin(str(store))
    other = tracker.open_run(group_id, make_spec(8), adopt=False)
    _finish(tracker, group_id, run_id, tmp_path)
    client.delete_tag(run_id, tag)
    assert [record.run_id for record in open_reader(store).runs(STUDY)] == [other]
    again = open_tracker(store)
    again.open_study(STUDY, YAML)
    assert again.open_group(make_group(), {}) == group_id
