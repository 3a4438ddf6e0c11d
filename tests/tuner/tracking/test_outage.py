"""A server goes away, hangs, loses replies: nothing is lost or doubled, and nobody waits."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import MlflowServer
from tests.tuner.tracking.projections import (
    SHOWN,
    STUDY,
    Desk,
    desk,
    make_group,
    make_result,
)
from tests.wire import Wire
from tuner.store.location import Store
from tuner.tracking import Projector, TrackerAway, TrackerRefused
from tuner.tracking.client_reader import open_client_reader
from tuner.tracking.projection import Projection
from tuner.tracking.server import is_away

CONFIRM = make_group(trial=None)
RUN, PARENT = "full · confirm · seed 7", "full · confirm"


@pytest.fixture
def table(wire: Wire, tmp_path: Path) -> Iterator[Desk]:
    """Return a journal that is projected to a server without runs, at the end of a wire."""
    with desk(tmp_path / "store", wire.address) as opened:
        yield opened


@contextmanager
def _projector(table: Desk, seconds: float = 60.0) -> Iterator[Projector]:
    """Start the process that projects, as a launcher does."""
    projector = Projector(table.target, seconds_to_settle=seconds)
    try:
        projector.start(Store(table.store))
        yield projector
    finally:
        projector.close()


def _do_all(table: Desk) -> None:
    """Enter every kind of line: a confirm group with one run, its files and its model."""
    table.open_study()
    attempt = table.begin(group=CONFIRM, retry={"retry.rows": "4"})
    table.end(attempt)
    table.leave_model(attempt)
    table.close(CONFIRM)


def _check_all(table: Desk) -> None:
    """See the effect of `_do_all` at the server, once."""
    client, runs = table.client, table.found()
    assert set(runs) == {PARENT, RUN}
    parent, run = runs[PARENT], runs[RUN]
    assert (parent.info.status, run.info.status) == ("FINISHED", "FINISHED")
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert run.data.params == SHOWN | {"retry.rows": "4"}
    assert parent.data.metrics["test/macro_f1"] == 0.4
    expected = {*make_result().metrics(), "train/loss", "validation/f1/A _x26 B", "epoch"}
    assert set(run.data.metrics) == expected
    several = {"train/loss": 3, "validation/macro_f1": 2}
    assert {name: len(client.get_metric_history(run.info.run_id, name)) for name in expected} == {
        name: several.get(name, 1) for name in expected
    }
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["spec.json"]
    (model,) = client.search_logged_models([parent.info.experiment_id])
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    assert str(model.status) == "READY"
    assert model.source_run_id == run.info.run_id


def test_all_lines_have_their_effect_while_the_server_is_there(table: Desk) -> None:
    """Once they have been caught up with, MLflow has the model, and the folder has gone."""
    with _projector(table) as projector:
        _do_all(table)
        projector.settle(table.journal.last_id())
    _check_all(table)
    assert not list(table.store.glob("runs/*/model"))  # the server has it


def test_a_request_whose_reply_is_lost_is_made_again_and_has_its_effect_once(
    table: Desk, wire: Wire
) -> None:
    """The first reply to every single request is lost: each is carried out twice."""
    lost = set()

    def loses(method: str, path: str, body: bytes) -> bool:
        # Files are known by their place; one says when it was written.
        request = (method, path, b"" if method == "PUT" else body)
        first = request not in lost
        lost.add(request)
        return first

    projection = table.projection()
    wire.loses = loses
    _do_all(table)
    _step_until_done(projection)
    wire.loses = lambda *_: False
    _check_all(table)
    assert len(lost) > 15


def test_a_request_that_a_hanging_server_carries_out_late_leaves_no_twin(
    table: Desk, wire: Wire
) -> None:
    """A run was made, then the first request for it takes effect as well: one of them goes."""
    held = list[bytes]()

    def holds(method: str, path: str, body: bytes) -> bool:
        if path.endswith("/runs/create") and not held:
            held.append(body)
            return True
        return False

    wire.holds = holds
    projection = table.projection()
    table.open_study()
    attempt = table.begin(group=CONFIRM)
    _step_until_done(projection)
    wire.release()
    experiment = table.client.get_experiment_by_name(STUDY)
    assert experiment is not None
    assert len(table.client.search_runs([experiment.experiment_id])) == 3
    table.end(attempt)
    table.close(CONFIRM)
    table.project(projection)
    assert {name: run.info.status for name, run in table.found().items()} == {
        RUN: "FINISHED",
        PARENT: "FINISHED",
    }


def test_a_study_goes_on_while_the_server_is_away(
    table: Desk, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """What it did is dated when it was done; two lines say why MLflow does not show it."""
    with _projector(table) as projector:
        table.open_study()
        projector.settle(table.journal.last_id())
        wire.cut = True
        started = time.time()
        _do_all(table)
        ended = time.time()
        _wait_for(lambda: caplog.messages)
        wire.cut = False
        projector.settle(table.journal.last_id())
    _check_all(table)
    for record in open_client_reader(table.target).runs(STUDY):
        assert record.end is not None
        assert started - 0.01 <= record.start <= record.end <= ended
    away, *waiting, back = caplog.messages
    assert re.fullmatch(
        rf"MLflow {wire.address} is away \(.*\); the study continues, and its results are .*",
        away,
    )
    assert len(waiting) <= 1
    assert re.fullmatch(rf"MLflow {wire.address} is back after \d+ s", back)


def test_a_study_goes_on_while_the_server_takes_its_login_no_more(
    table: Desk, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """As while it is away; what the server says is not repeated, for it may hold the login."""
    with _projector(table) as projector:
        table.open_study()
        projector.settle(table.journal.last_id())
        wire.answers = lambda *_: 401
        _do_all(table)
        _wait_for(lambda: caplog.messages)
        wire.answers = lambda *_: 0
        projector.settle(table.journal.last_id())
    _check_all(table)
    assert "is away (user or password refused; MLFLOW_TRACKING_USERNAME" in caplog.messages[0]
    assert "Response body" not in caplog.text


def test_a_write_that_two_launchers_make_at_once_is_made_again(table: Desk, wire: Wire) -> None:
    """MLflow answers 400 to the second of two that log the same data set for the first time."""
    refused = list[str]()

    def answers(method: str, path: str, body: bytes) -> int:
        if path.endswith("/runs/log-inputs") and not refused:
            refused.append(path)
            return 400
        return 0

    wire.answers = answers
    _do_all(table)
    with _projector(table) as projector:
        projector.settle(table.journal.last_id())
    _check_all(table)
    assert refused


def test_a_write_that_the_server_refuses_ends_the_study_with_one_line(
    table: Desk, wire: Wire
) -> None:
    """The line names the server and says where the rest is; the same command writes it."""
    wire.answers = lambda method, path, body: 400 * path.endswith("/runs/log-inputs")
    _do_all(table)
    with (
        _projector(table) as projector,
        pytest.raises(TrackerRefused, match=r"; the journal keeps the rest, and the") as caught,
    ):
        projector.settle(table.journal.last_id())
    assert str(caught.value).startswith(f"MLflow {wire.address}: ")
    assert "\n" not in str(caught.value)
    wire.answers = lambda *_: 0
    with _projector(table) as projector:
        projector.settle(table.journal.last_id())
    _check_all(table)


def test_a_server_that_stays_away_ends_the_study_with_one_line(table: Desk, wire: Wire) -> None:
    """The study's runs are done; the journal keeps the rest, and the next start sends it."""
    wire.cut = True
    _do_all(table)
    with _projector(table, 0.2) as projector, pytest.raises(TrackerAway) as caught:
        projector.settle(table.journal.last_id())
    assert str(caught.value) == (
        f"MLflow {wire.address} is away; the journal keeps the rest, and the same command sends it"
    )
    assert caught.value.exit_code == 1
    wire.cut = False
    with _projector(table) as projector:
        projector.settle(table.journal.last_id())
    _check_all(table)


def test_a_projection_that_was_killed_is_gone_on_with_by_the_next(table: Desk, wire: Wire) -> None:
    """In the middle of a run, its server away: each point is there once."""
    table.open_study()
    attempt = table.begin(group=CONFIRM, retry={"retry.rows": "4"})
    with _projector(table) as projector:
        _wait_for(lambda: any(path.endswith("/runs/create") for _, path in wire.seen))
        wire.cut = True
        os.kill(projector.pid, signal.SIGKILL)
        with pytest.raises(TrackerRefused, match="ended with code -9; the journal keeps"):
            projector.settle(table.journal.last_id())
    table.end(attempt)
    table.leave_model(attempt)
    table.close(CONFIRM)
    wire.cut = False
    with _projector(table) as projector:
        projector.settle(table.journal.last_id())
    _check_all(table)


def test_a_server_that_hangs_is_as_good_as_away(
    server: MlflowServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The study continues, and all has its effect once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with desk(tmp_path / "store", server.address) as table, _projector(table) as projector:
        table.open_study()
        projector.settle(table.journal.last_id())
        server.signal(signal.SIGSTOP)
        try:
            _do_all(table)
            _wait_for(lambda: caplog.messages)
        finally:
            server.signal(signal.SIGCONT)
        projector.settle(table.journal.last_id())
        _check_all(table)
    assert "is away (no answer in time)" in caplog.messages[0]


def _step_until_done(projection: Projection) -> None:
    """Project; whenever the server is away, at once again."""
    more = True
    while more:
        try:
            more = projection.step()[1]
        except Exception as error:
            if not is_away(error):
                raise


def _wait_for(condition: Callable[[], object]) -> None:
    for _ in range(2_000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError
