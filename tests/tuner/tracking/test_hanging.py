"""A server that takes connections and answers nothing: it is said, and nobody waits for long."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import MlflowServer
from tests.tuner.tracking.projections import STUDY, desk
from tuner.store.location import Store
from tuner.tracking import Projector, TrackerAway, open_server_reader


@pytest.fixture
def hanging(server: MlflowServer) -> Iterator[MlflowServer]:
    """Stop the server, and let it go on after the test."""
    server.signal(signal.SIGSTOP)
    yield server
    server.signal(signal.SIGCONT)


def test_a_study_that_is_ending_waits_but_seconds(hanging: MlflowServer, tmp_path: Path) -> None:
    """Ctrl-C is not held up by a request that may take half a minute; the next start writes."""
    with desk(tmp_path / "store", hanging.address) as table:
        projector = Projector(hanging.address)
        projector.start(Store(table.store))
        table.do()
        started = time.monotonic()
        projector.hurry()
        with pytest.raises(TrackerAway):
            projector.settle(table.journal.last_id())
        projector.close()
        assert 2 < time.monotonic() - started < 20
        hanging.signal(signal.SIGCONT)
        again = Projector(hanging.address)
        again.start(Store(table.store))
        again.settle(table.journal.last_id())
        again.close()
    assert open_server_reader(hanging.address).studies() == [STUDY]


def test_a_server_that_hangs_is_said_to_give_no_answer_the_first_time(
    hanging: MlflowServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is no lost connection, and one looks elsewhere for the cause; then that it is back."""
    with desk(tmp_path / "store", hanging.address) as table:
        table.do()
        projector = Projector(hanging.address)
        projector.start(Store(table.store))
        deadline = time.monotonic() + 60
        while not caplog.messages:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        hanging.signal(signal.SIGCONT)
        projector.settle(table.journal.last_id())
        projector.close()
    said = f"MLflow {hanging.address} is "
    away, *waiting, back = caplog.messages
    assert away.startswith(f"{said}away (no answer in time); the study continues")
    assert len(waiting) <= 1
    assert back.startswith(f"{said}back after ")
