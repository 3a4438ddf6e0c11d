"""A server that takes connections and answers nothing: it is said, and nobody waits for long."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tuner.tracking.absence import Absence

from tests.servers import MlflowServer
from tests.tracker_contract import STUDY, YAML, make_group
from trainers.errors import ConfigError
from tuner.tracking import open_server


@pytest.fixture
def goes_on(server: MlflowServer) -> Iterator[None]:
    """Let the server go on after the test."""
    yield
    server.signal(signal.SIGCONT)


@pytest.mark.usefixtures("goes_on")
def test_a_study_that_is_ending_waits_but_seconds(server: MlflowServer, tmp_path: Path) -> None:
    """Ctrl-C is not held up by a request that may take half a minute; what waits is written."""
    tracker = open_server(server.address, outbox=tmp_path / "outbox")
    tracker.open_study(STUDY, YAML)
    server.signal(signal.SIGSTOP)
    group = tracker.open_group(make_group(trial=None), {})
    started = time.monotonic()
    tracker.hurry()
    tracker.catch_up()
    assert 2 < time.monotonic() - started < 20
    tracker.close_group(group, state="killed", reason="interrupted", metrics={})
    tracker.catch_up()
    assert time.monotonic() - started < 20
    assert list((tmp_path / "outbox").glob("*.jsonl"))
    server.signal(signal.SIGCONT)
    tracker.settle()
    assert not list((tmp_path / "outbox").glob("*.jsonl"))
    assert tracker.studies() == [STUDY]


@pytest.mark.usefixtures("goes_on")
def test_a_server_that_hangs_at_the_start_is_said_to_give_no_answer(
    server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no lost connection: one looks elsewhere for the cause."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    server.signal(signal.SIGSTOP)
    with pytest.raises(ConfigError, match=f"MLflow store {server.address}: no answer in time"):
        open_server(server.address, outbox=tmp_path).open_study(STUDY, YAML)


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_first_failure_is_said_if_it_took_long(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
) -> None:
    """One that comes at once may be just a lost connection; the second never is."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    absence = Absence("http://host", tmp_path)
    absence.ask()
    now[0] += seconds
    absence.note(Exception("no answer in time"))
    assert len(caplog.messages) == (seconds > 0)
    absence.note(Exception("no answer in time"))
    absence.end()
    away, back = caplog.messages
    assert away.startswith("MLflow http://host is away (no answer in time); the study goes on")
    assert back == f"MLflow http://host is back after {seconds:.0f} s"
