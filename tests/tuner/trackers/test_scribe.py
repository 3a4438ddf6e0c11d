"""The process that makes MLflow's calls: it loads MLflow, and ends when its launcher does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.launchers import Launchers, wait_until
from tests.tracker_contract import STUDY, YAML, make_group
from trainers.errors import ConfigError
from tuner.trackers import open_folder
from tuner.trackers.calls import OpenGroup
from tuner.trackers.remote_scribe import RemoteScribe, TrackingProcess, tracking_process
from tuner.trackers.scribe import _take_over


def _scribe_of(launcher: subprocess.Popen[bytes]) -> list[psutil.Process]:
    below = psutil.Process(launcher.pid).children()
    return [process for process in below if "tuner.trackers.scribe" in process.cmdline()]


@pytest.fixture
def local(tmp_path: Path) -> Launchers:
    """Give a study in a local store."""
    launchers = Launchers(tmp_path)
    launchers.write_study()
    return launchers


def test_a_study_whose_scribe_is_killed_ends_in_a_line_and_goes_on_later(local: Launchers) -> None:
    """What it could not write is kept, and the same command writes it, once."""
    first = local.start()
    local.wait_for_runs(2)
    (scribe,) = _scribe_of(first)
    scribe.kill()
    local.end(first, code=1)
    (line,) = local.said(first).splitlines()
    assert line.startswith("tuner: the process that writes to MLflow ended with code -9")
    local.end(local.start())
    local.check()


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_scribe_outlives_its_launcher(local: Launchers, blow: signal.Signals) -> None:
    """However the launcher ends, and though the signal reaches the scribe as well."""
    launcher = local.start()
    local.wait_for_runs(1)
    (scribe,) = _scribe_of(launcher)
    if blow != signal.SIGKILL:
        scribe.send_signal(blow)
    launcher.send_signal(blow)
    launcher.wait(30)
    wait_until(lambda: not scribe.is_running(), seconds=2)
    if blow != signal.SIGKILL:
        assert {run.info.status for run in local.runs()} <= {"FINISHED", "KILLED"}


def test_a_launcher_loads_no_mlflow(tmp_path: Path) -> None:
    """It would take seconds of its time, and a fifth of a second for each trial."""
    code = (
        "import sys; from pathlib import Path; from tuner.trackers import open_folder\n"
        "place = Path(sys.argv[1]); tracker = open_folder(place, outbox=place / 'outbox')\n"
        "tracker.open_study('s', 'name: s'); print(tracker.studies(), 'mlflow' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("['s'] False\n", "")


def test_errors_come_as_they_were_raised(store: Path) -> None:
    """One line for a user; an error of ours, or of MLflow's making, says where it came from."""
    scribe = RemoteScribe(store)
    scribe.open_study(STUDY, YAML)
    with pytest.raises(ConfigError, match="study 'absent': not in the store; studies there: "):
        scribe.study_yaml("absent")
    unopened = make_group().model_copy(update={"study": "unopened"})
    with pytest.raises(KeyError, match="unopened") as raised:
        scribe.make(OpenGroup(id="a", group=unopened, params={}), {})
    assert "in _make_run" in "".join(raised.value.__notes__)


def test_stores_that_are_open_side_by_side_are_kept_apart(tmp_path: Path) -> None:
    """One process writes to both, and forgets a store that nobody has open."""
    trackers = [open_folder(tmp_path / name, outbox=tmp_path / name) for name in ("a", "b")]
    for tracker, name in zip(trackers, ("one", "two"), strict=True):
        tracker.open_study(name, f"name: {name}")
    assert [tracker.studies() for tracker in trackers] == [["one"], ["two"]]
    process = tracking_process()
    closed = process._closed
    del tracker, trackers
    wait_until(lambda: len(closed) == 2, seconds=5)
    again = open_folder(tmp_path / "a", outbox=tmp_path / "a")
    assert again.studies() == ["one"]
    assert tracking_process() is process
    assert not closed


def test_the_launchers_variables_are_the_scribes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that it has no more are taken back; what is not MLflow's stays."""
    had = {"MLFLOW_TRACKING_USERNAME": "old", "MLFLOW_OLD": "1", "HOME": "/home"}
    monkeypatch.setattr(os, "environ", had)
    _take_over({"MLFLOW_TRACKING_USERNAME": "new"})
    assert had == {"MLFLOW_TRACKING_USERNAME": "new", "HOME": "/home"}


def test_a_scribe_that_died_is_replaced_by_another(store: Path) -> None:
    """For those who open a store later, as a notebook does that runs a second study."""
    first = tracking_process()
    RemoteScribe(store).open_study(STUDY, YAML)
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: not first.lives(), seconds=5)
    assert RemoteScribe(store).studies() == [STUDY]
    assert isinstance(tracking_process(), TrackingProcess)
    assert tracking_process() is not first
