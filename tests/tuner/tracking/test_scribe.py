"""The process that makes MLflow's calls: it loads MLflow, and ends when its launcher does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.launchers import Launchers, lives, wait_until
from tests.tracker_contract import STUDY, YAML, make_group
from trainers.errors import ConfigError
from tuner.tracking import open_folder
from tuner.tracking import scribe as scribe_module
from tuner.tracking.calls import OpenGroup
from tuner.tracking.remote_scribe import RemoteScribe
from tuner.tracking.tracking_process import Surroundings, TrackingProcess, tracking_process

ROOT = Path(__file__).parents[3]


def _scribe_of(launcher: subprocess.Popen[bytes]) -> list[psutil.Process]:
    below = psutil.Process(launcher.pid).children()
    return [process for process in below if "tuner.tracking.scribe" in process.cmdline()]


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
    said = local.said(first).splitlines()
    (line,) = [line for line in said if not line.startswith("toy: ")]  # what was read
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
    wait_until(lambda: not lives(scribe), seconds=2)
    if blow != signal.SIGKILL:
        assert {run.info.status for run in local.runs()} <= {"FINISHED", "KILLED"}


def test_a_launcher_loads_no_mlflow(tmp_path: Path) -> None:
    """It would take seconds of its time, and a fifth of a second for each trial."""
    code = (
        "import sys; from pathlib import Path; from tuner.tracking import open_folder\n"
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


def test_each_store_is_served_with_what_was_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder and its login, though another store was opened since from somewhere else."""
    scribes = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", f"user of {name}")
        scribes.append(RemoteScribe("mlruns"))
    monkeypatch.chdir(tmp_path)
    for scribe, name in zip(scribes, ("a", "b"), strict=True):
        scribe.open_study(name, f"name: {name}")
        group = make_group().model_copy(update={"study": name})
        scribe.make(OpenGroup(id="g", group=group, params={}), {})
        assert (tmp_path / name / "mlruns" / "mlflow.db").is_file()
        there = Path(f"/proc/{tracking_process().pid}/cwd").resolve()
        assert there == tmp_path / name
    assert [scribe.studies() for scribe in scribes] == [["a"], ["b"]]


def test_each_server_gets_its_own_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """What opening a store has set, such as a login, is set again when its turn comes."""
    had: dict[str, str] = {}
    monkeypatch.setattr(os, "environ", had)
    monkeypatch.setattr(scribe_module, "Scribe", _LoggedIn)
    desk, here = scribe_module._Desk(), os.getcwd()
    for number, user in enumerate(("alice", "bob", "")):
        around = Surroundings(here, {"HOME": "/home"})
        desk.do([], number, "open", (user, around))
    assert [desk.do([], number, "login", ()) for number in (0, 1, 2, 0)] == [
        *("alice", "bob", None, "alice")
    ]
    assert had["HOME"] == "/home"


class _LoggedIn:
    """A scribe that says with which login it would speak to its server."""

    def __init__(self, user: str) -> None:
        if user:
            os.environ["MLFLOW_TRACKING_USERNAME"] = user

    def login(self) -> str | None:
        """Return what MLflow's client would send."""
        return os.environ.get("MLFLOW_TRACKING_USERNAME")


def test_an_interrupt_leaves_no_answer_for_the_next_to_take(store: Path) -> None:
    """As Ctrl-C in a notebook while a study waits for MLflow."""
    scribe = RemoteScribe(store)
    for name in ("one", "two"):
        scribe.open_study(name, f"name: {name}")
    asked_forever = iter(scribe.studies, None)
    with _interrupted_after(0.01), pytest.raises(KeyboardInterrupt):
        list(asked_forever)
    for name in ("one", "two"):
        assert scribe.study_yaml(name) == f"name: {name}"


@contextlib.contextmanager
def _interrupted_after(seconds: float) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


class _Unknown:
    """Crosses to another process, which cannot make anything of it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _only_here, ()


def _only_here() -> None:
    raise ValueError("not here")


def test_what_cannot_be_understood_is_answered_and_the_next_served(store: Path) -> None:
    """A plug-in's class that is found in the launcher alone, for one."""
    scribe = RemoteScribe(store)
    scribe.open_study(STUDY, YAML)
    with pytest.raises(ValueError, match="not here"):
        scribe._ask("study_yaml", _Unknown())
    assert scribe.studies() == [STUDY]


def test_a_default_timeout_of_sockets_and_odd_folders_do_no_harm(tmp_path: Path) -> None:
    """Set by some library; Python passes over folders of modules that are no text."""
    code = (
        "import pathlib, socket, sys; socket.setdefaulttimeout(0.5)\n"
        "from tuner.tracking.remote_scribe import RemoteScribe\n"
        "sys.path.append(pathlib.Path('/x')); sys.__stderr__.close()\n"
        "scribe = RemoteScribe(sys.argv[1]); print(scribe.studies())"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.returncode) == ("[]\n", 0)


def test_a_forked_process_has_a_scribe_of_its_own(store: Path) -> None:
    """And the parent's ends with the parent, whatever lives on that was forked from it."""
    code = (
        "import os, sys, time; from tuner.tracking.remote_scribe import RemoteScribe; "
        "from tuner.tracking.tracking_process import tracking_process\n"
        "process = tracking_process()\n"
        "if os.fork() == 0: time.sleep(30); os._exit(0)\n"
        "RemoteScribe(sys.argv[1]).studies(); print(process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", code, str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as launcher:
        assert launcher.stdout is not None
        scribe = psutil.Process(int(launcher.stdout.readline()))
    wait_until(lambda: not lives(scribe), seconds=3)


def test_a_scribe_that_died_is_replaced_by_another(store: Path) -> None:
    """For those who open a store later, as a notebook does that runs a second study."""
    first = tracking_process()
    RemoteScribe(store).open_study(STUDY, YAML)
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: not first.lives(), seconds=5)
    assert RemoteScribe(store).studies() == [STUDY]
    assert isinstance(tracking_process(), TrackingProcess)
    assert tracking_process() is not first
