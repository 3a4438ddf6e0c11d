"""What is deleted or renamed in MLflow while a study continues costs nothing in the end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.servers import MlflowServer
from tests.tuner.tracking.projections import (
    STUDY,
    Desk,
    desk,
    make_events,
    make_group,
    make_result,
    make_spec,
)
from tuner.store.attempts import Attempt
from tuner.tracking import open_reader
from tuner.tracking.client_reader import open_client_reader
from tuner.tracking.projection import Projection

RUN, PARENT = "full · trial 0 · seed 7", "full · trial 0"


@pytest.fixture(params=["folder", "server"])
def table(request: pytest.FixtureRequest, store: Path) -> Iterator[Desk]:
    """Return a journal that is projected to its folder, and to an MLflow server."""
    target = ""
    if request.param == "server":
        server: MlflowServer = request.getfixturevalue("server")
        target = server.address
    with desk(store, target) as opened:
        yield opened


def _begin(table: Desk) -> tuple[Attempt, Projection]:
    table.open_study()
    attempt = table.begin()
    (table.folder(attempt) / "predictions.parquet").write_text("rows")
    projection = table.projection()
    projection.step()
    return attempt, projection


def _finish(table: Desk, attempt: Attempt, projection: Projection) -> None:
    table.end(attempt)
    table.close()
    table.project(projection)


def _experiment(client: MlflowClient) -> str:
    experiment = client.get_experiment_by_name(STUDY)
    assert experiment is not None
    return str(experiment.experiment_id)


def _check_whole(table: Desk) -> None:
    """See one parent and one run below it, with its curve, its numbers and its files."""
    found = table.found()
    assert set(found) == {RUN, PARENT}
    run, parent = found[RUN], found[PARENT]
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.data.metrics["test/macro_f1"] == 0.4
    assert (parent.info.status, run.info.status) == ("FINISHED", "FINISHED")
    reader = open_client_reader(table.target)
    (record,) = reader.runs(STUDY)
    assert (record.state, record.group_state) == ("finished", "finished")
    assert record.params == make_spec().flat()
    assert record.metrics["test/macro_f1"] == 0.4
    (curve,) = reader.curves([record.run_id], ["train/loss"])
    assert curve.steps == (1, 2, 3)
    assert reader.artifact(record.run_id, "predictions.parquet") is not None


@pytest.mark.parametrize("what", ["run", "parent", "both", "experiment", "name"])
def test_what_is_deleted_while_it_goes_on_is_there_in_the_end(
    what: str, table: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """A run, its parent, both, the whole experiment: the study continues, and a line says it."""
    attempt, projection = _begin(table)
    client, found = table.client, table.found()
    if what in ("run", "both"):
        client.delete_run(found[RUN].info.run_id)
    if what in ("parent", "both"):
        client.delete_run(found[PARENT].info.run_id)
    if what == "experiment":
        client.delete_experiment(_experiment(client))
    if what == "name":
        client.rename_experiment(_experiment(client), "another name")
    _finish(table, attempt, projection)
    _check_whole(table)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("tuner")]
    assert len(said) == (2 if what == "both" else 1)
    assert all(line.startswith(f"MLflow study {STUDY}: ") and "\n" not in line for line in said)
    table.project()
    _check_whole(table)


@pytest.mark.parametrize("what", ["runs", "experiment"])
def test_the_report_knows_what_is_deleted_in_mlflow(what: str, table: Desk) -> None:
    """It reads the journal: numbers, curves and files are what they were."""
    _finish(table, *_begin(table))
    reader = open_reader(
        table.store, tracking=None if table.target == str(table.store) else table.target
    )
    before = reader.runs(STUDY)
    client = table.client
    if what == "runs":
        for run in table.found().values():
            client.delete_run(run.info.run_id)
    else:
        client.delete_experiment(_experiment(client))
    after = reader.runs(STUDY)
    assert after == before
    assert [record.state for record in after] == ["finished"]
    (curve,) = reader.curves([after[0].run_id], ["train/loss"])
    assert curve.steps == (1, 2, 3)
    assert reader.artifact(after[0].run_id, "predictions.parquet") is not None


def test_a_run_that_was_entered_again_does_not_come_back_with_its_experiment(table: Desk) -> None:
    """Restoring an experiment restores its runs, deleted before or not; the run stays one."""
    attempt, projection = _begin(table)
    first = table.found()[RUN].info.run_id
    table.client.delete_run(first)
    table.log(attempt, make_events(4)[4:])
    projection.step()
    table.client.delete_experiment(_experiment(table.client))
    table.log(attempt, make_events(5)[5:])
    projection.step()
    table.end(attempt, result=make_result())
    table.project(projection)
    assert table.found()[RUN].info.run_id != first
    (record,) = open_client_reader(table.target).runs(STUDY)
    assert record.run_id != first


def test_an_experiment_deleted_for_good_is_filled_anew(store: Path) -> None:
    """As `mlflow gc` does: all of the study is entered into a new one."""
    with desk(store) as table:
        attempt, projection = _begin(table)
        with closing(sqlite3.connect(store / "mlflow.db")) as database:
            names = "SELECT name FROM sqlite_master WHERE type = 'table'"
            for (name,) in database.execute(names).fetchall():
                if name not in ("alembic_version", "workspaces"):
                    database.execute(f"DELETE FROM {name}")
            database.commit()
        _finish(table, attempt, projection)
        _check_whole(table)


@pytest.mark.parametrize("what", ["parent", "experiment"])
def test_what_is_deleted_between_two_starts_does_not_stop_the_next(what: str, table: Desk) -> None:
    """An experiment is restored; runs come under a new parent, and are no run twice."""
    _finish(table, *_begin(table))
    client = table.client
    if what == "parent":
        client.delete_run(table.found()[PARENT].info.run_id)
    else:
        client.delete_experiment(_experiment(client))
    table.open_study()
    table.end(table.begin(make_spec(8)))
    table.close()
    table.project()
    found = table.found()
    assert set(found) == {PARENT, RUN, f"{PARENT} · seed 8"}
    assert found[PARENT].data.metrics["n"] == 2
    children = [run for name, run in found.items() if name != PARENT]
    parents = {run.data.tags["mlflow.parentRunId"] for run in children}
    assert parents == {found[PARENT].info.run_id}


def test_an_experiment_renamed_between_two_starts_is_left_alone_and_named(
    table: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """The study is entered whole into a new one; a later start has nothing to say."""
    _finish(table, *_begin(table))
    client = table.client
    first = _experiment(client)
    client.rename_experiment(first, "kept for the paper")
    client.create_experiment("of another program")
    for _ in range(2):
        table.open_study()
        table.project()
    (said,) = [r.getMessage() for r in caplog.records if r.name.startswith("tuner")]
    assert said.startswith(f"MLflow study {STUDY}: its experiment was renamed to 'kept for the p")
    _check_whole(table)
    assert len(client.search_runs([first])) == 2


@pytest.mark.parametrize("tag", ["tuner.digest", "mlflow.parentRunId", "tuner.seeds", "tuner.arm"])
def test_a_run_without_one_of_its_tags_is_left_out(tag: str, store: Path) -> None:
    """Of what is read from a server; the report of the store has it all the same."""
    with desk(store) as table:
        attempt, projection = _begin(table)
        table.end(table.begin(make_spec(8)))
        _finish(table, attempt, projection)
        found = table.found()
        table.client.delete_tag(found[RUN].info.run_id, tag)
        other = found[f"{PARENT} · seed 8"].info.run_id
        assert [record.run_id for record in open_client_reader(store).runs(STUDY)] == [other]
        assert len(open_reader(store).runs(STUDY)) == 2
        table.open_study()
        table.close(make_group(), "killed", "interrupted")
        table.project()
        assert set(table.found()) == set(found)
