"""A server goes away, hangs, loses replies: nothing is lost or doubled, and nobody waits."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.servers import MlflowServer
from tests.tracker_contract import (
    STUDY,
    YAML,
    make_events,
    make_group,
    make_result,
    make_spec,
)
from tests.tuner.tracking.places import ServerPlace
from tests.wire import Wire
from trainers.errors import ConfigError
from tuner.tracking import Tracker, TrackerAway, TrackerRefused, open_server


@pytest.fixture
def place(wire: Wire, tmp_path: Path) -> ServerPlace:
    """Return a server without runs, at the end of a wire."""
    return ServerPlace(wire.address, tmp_path / "outbox")


@pytest.fixture
def tracker(place: ServerPlace, impatient: None) -> Tracker:
    """Return a tracker with an open study."""
    tracker = place.open()
    tracker.open_study(STUDY, YAML)
    return tracker


def _do_all(tracker: Tracker, folder: Path) -> None:
    """Make every kind of call: a confirm group with one run, its files and its model."""
    for name in ("model", "run"):
        (folder / name).mkdir()
        (folder / name / "spec.json").write_text("{}")
    parent_id, spec = (
        tracker.open_group(make_group(trial=None), {"train.epochs": "3"}),
        make_spec(),
    )
    run_id = tracker.open_run(parent_id, spec, adopt=False, extra={"retry.rows": "4"})
    tracker.log(run_id, make_events())
    tracker.close_run(run_id, state="finished", result=make_result(), folder=folder / "run")
    tracker.log_model(tracker.open_run(parent_id, spec, adopt=True), folder / "model")
    tracker.close_group(parent_id, state="finished", metrics={"test/macro_f1_mean": 0.4})


def _check_all(server: MlflowServer | Wire) -> None:
    """See the effect of `_do_all` at the server, once."""
    client = MlflowClient(server.address)
    experiment = client.get_experiment_by_name(STUDY)
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == ["full · confirm", "full · confirm · seed 7"]
    parent, run = (runs[name] for name in sorted(runs))
    assert (parent.info.status, run.info.status) == ("FINISHED", "FINISHED")
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert run.data.params == make_spec().flat() | {"retry.rows": "4"}
    assert parent.data.metrics == {"test/macro_f1_mean": 0.4}
    expected = set(make_result().metrics()) | {"train/loss", "validation/f1/A _x26 B", "epoch"}
    assert set(run.data.metrics) == expected
    assert {name: len(client.get_metric_history(run.info.run_id, name)) for name in expected} == {
        name: 3 if name == "train/loss" else 1 for name in expected
    }
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["spec.json"]
    (model,) = client.search_logged_models([experiment.experiment_id])
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    assert str(model.status) == "READY"
    assert client.search_logged_models([experiment.experiment_id])[0].source_run_id


def test_all_calls_have_their_effect_while_the_server_is_there(
    tracker: Tracker, server: MlflowServer, tmp_path: Path
) -> None:
    """Once they have been caught up with, nothing waits, and no file is left."""
    _do_all(tracker, tmp_path)
    tracker.catch_up()
    _check_all(server)
    assert list((tmp_path / "outbox").glob("*.jsonl")) == []
    assert not (tmp_path / "model").exists()  # the server has it


def test_a_request_whose_reply_is_lost_is_made_again_and_has_its_effect_once(
    tracker: Tracker, wire: Wire, server: MlflowServer, tmp_path: Path
) -> None:
    """The first reply to every single request is lost: each is carried out twice."""
    lost = set()

    def loses(method: str, path: str, body: bytes) -> bool:
        # Files are known by their place; one says when it was written.
        request = (method, path, b"" if method == "PUT" else body)
        first = request not in lost
        lost.add(request)
        return first

    wire.loses = loses
    _do_all(tracker, tmp_path)
    tracker.settle()
    _check_all(server)
    assert len(lost) > 15


def test_a_request_that_a_hanging_server_carries_out_late_leaves_no_twin(
    tracker: Tracker, wire: Wire, server: MlflowServer, tmp_path: Path
) -> None:
    """A run was made, then the first request for it takes effect as well: one of them goes."""
    held = []

    def holds(method: str, path: str, body: bytes) -> bool:
        if path.endswith("/runs/create") and len(held) < 1:
            held.append(body)
            return True
        return False

    wire.holds = holds
    parent_id = tracker.open_group(make_group(trial=None), {})
    _wait_for(lambda: sum(path.endswith("/runs/create") for _, path in wire.seen) >= 2)
    wire.release()
    client = MlflowClient(server.address)
    experiment = client.get_experiment_by_name(STUDY)
    assert experiment is not None
    assert len(client.search_runs([experiment.experiment_id])) == 2
    tracker.close_group(parent_id, state="finished", metrics={})
    tracker.settle()
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"


def test_a_study_goes_on_while_the_server_is_away(
    tracker: Tracker,
    wire: Wire,
    server: MlflowServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every call returns at once; what it did is dated when it was done; two lines say why."""
    wire.cut = True
    started = time.time()
    _do_all(tracker, tmp_path)
    ended = time.time()
    assert ended - started < 5
    assert len(list((tmp_path / "outbox").glob("*.jsonl"))) == 1
    _wait_for(lambda: caplog.messages)
    wire.cut = False
    tracker.settle()
    _check_all(server)
    for record in tracker.runs(STUDY):
        assert record.end is not None
        assert started - 0.01 <= record.start <= record.end <= ended
    away, *waiting, back = caplog.messages
    assert re.fullmatch(
        rf"MLflow {wire.address} is away \(.*\); the study goes on, what it writes is kept in .*",
        away,
    )
    assert len(waiting) <= 1
    assert re.fullmatch(rf"MLflow {wire.address} is back after \d+ s", back)
    assert list((tmp_path / "outbox").glob("*.jsonl")) == []


def test_a_server_that_hangs_is_as_good_as_away(
    place: ServerPlace,
    impatient: None,
    server: MlflowServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No call waits for it; all have their effect once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    tracker = open_server(server.address, outbox=tmp_path / "outbox")
    tracker.open_study(STUDY, YAML)
    server.signal(signal.SIGSTOP)
    try:
        started = time.monotonic()
        _do_all(tracker, tmp_path)
        assert time.monotonic() - started < 1
        _wait_for(lambda: caplog.messages)
    finally:
        server.signal(signal.SIGCONT)
    tracker.settle()
    _check_all(server)


def test_a_study_goes_on_while_the_server_takes_its_login_no_more(
    tracker: Tracker, wire: Wire, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As while it is away; what the server says is not repeated, for it may hold the login."""
    wire.answers = lambda *_: 401
    _do_all(tracker, tmp_path)
    _wait_for(lambda: caplog.messages)
    wire.answers = lambda *_: 0
    tracker.settle()
    _check_all(wire)
    assert "is away (user or password refused; MLFLOW_TRACKING_USERNAME" in caplog.messages[0]
    assert "Response body" not in caplog.text


def test_a_write_that_two_launchers_make_at_once_is_made_again(
    tracker: Tracker, wire: Wire, server: MlflowServer, tmp_path: Path
) -> None:
    """MLflow answers 400 to the second of two that log the same data set for the first time."""
    refused = []

    def answers(method: str, path: str, body: bytes) -> int:
        if path.endswith("/runs/log-inputs") and not refused:
            refused.append(path)
            return 400
        return 0

    wire.answers = answers
    _do_all(tracker, tmp_path)
    tracker.settle()
    _check_all(server)
    assert refused


def test_a_write_that_the_server_refuses_ends_the_study_with_one_line(
    tracker: Tracker, wire: Wire, tmp_path: Path
) -> None:
    """The line names the server and where the writes are kept."""
    wire.answers = lambda method, path, body: 400 * path.endswith("/runs/log-inputs")
    _do_all(tracker, tmp_path)
    with pytest.raises(TrackerRefused, match=r"writes are kept in .*outbox") as caught:
        tracker.settle()
    assert str(caught.value).startswith(f"MLflow {wire.address}: ")
    assert "\n" not in str(caught.value)


def test_a_server_that_stays_away_ends_the_study_with_one_line(
    tracker: Tracker, wire: Wire, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The study's runs are done; what is left to be sent is kept, and the line says where."""
    monkeypatch.setattr(tracker._sender, "_seconds_to_settle", 0.2)  # type: ignore[attr-defined]
    wire.cut = True
    tracker.open_group(make_group(), {})
    with pytest.raises(TrackerAway) as caught:
        tracker.settle()
    assert str(caught.value) == (
        f"MLflow {wire.address} is away; 1 writes are kept in {tmp_path / 'outbox'}, and the same "
        "command sends them"
    )
    assert caught.value.exit_code == 1
    wire.cut = False
    monkeypatch.setattr(tracker._sender, "_seconds_to_settle", 60)  # type: ignore[attr-defined]
    tracker.settle()


_LAUNCHER = """
import sys
from pathlib import Path
from tests.tracker_contract import STUDY, YAML, make_events, make_group, make_result, make_spec
from tuner.tracking import open_server

tracker = open_server(sys.argv[1], outbox=Path(sys.argv[2]))
tracker.open_study(STUDY, YAML)
parent_id = tracker.open_group(make_group(), {})
first = tracker.open_run(parent_id, make_spec(1), adopt=False)
tracker.log(first, make_events()[:2])
print("open", flush=True)
input()
tracker.log(first, make_events())
tracker.close_run(first, state="finished", result=make_result())
second = tracker.open_run(parent_id, make_spec(2), adopt=False)
tracker.log(second, make_events())
print("kept", flush=True)
input()
"""


def test_what_a_killed_launcher_kept_is_sent_by_the_next(place: ServerPlace, wire: Wire) -> None:
    """Its finished run is finished, its last one killed, each point there once; no file stays."""
    command = [sys.executable, "-c", _LAUNCHER, wire.address, str(place.outbox)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as launcher:
        assert launcher.stdin is not None
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "open\n"
        wire.cut = True
        print(file=launcher.stdin, flush=True)
        assert launcher.stdout.readline() == "kept\n"
        launcher.kill()
    (file,) = place.outbox.glob("*.jsonl")
    with file.open("a") as torn:
        torn.write('{"call": "log", "id')
    with pytest.raises(ConfigError, match=r"MLflow store .*: the connection was lost"):
        place.open().open_study(STUDY, YAML)
    wire.cut = False
    tracker = place.open()
    tracker.open_study(STUDY, YAML)
    found = {run.seeds.init: (run.state, run.reason) for run in tracker.runs(STUDY)}
    assert found == {1: ("finished", ""), 2: ("killed", "launcher died")}
    for run in tracker.runs(STUDY):
        assert len(place.history(run.run_id, "train/loss")) == 3
    assert list(place.outbox.glob("*.jsonl")) == []


def _wait_for(condition: Callable[[], object]) -> None:
    for _ in range(1_000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError
