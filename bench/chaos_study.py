"""A study of tiny runs by two launchers, of which single processes are killed with -9."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from tuner.executors import MOST_KILLS

TUNER = [sys.executable, "-m", "tuner"]
"""The command line, the only part of the program that is used here."""
KINDS = {
    "launcher": "launcher",
    "run": "run's process",
    "both": "run's process and its launcher",
    "writer": "process that writes to MLflow",
}
"""Kinds of kills. A living launcher does a run again if its process was killed."""
_RUNS_KILLED = MOST_KILLS - 1
"""Kills of runs alone under one launcher, which fails a run at the next one. A further kill ends
the launcher too."""
NAME = "chaos"
RUNS = 21
_SPACE = "{train.learning_rate: {float: [1.0e-4, 1.0e-2], log: true}}"
STUDY = f"""\
name: {NAME}
tasks: [{{kind: toy, rows: 64}}]
models: [tiny-bert]
train: {{epochs: 2, batch_size: 32, precision: fp32}}
search: {{trials: 4, seeds: [7], sampler: random, pruner: none, finalists: none}}
confirm: {{seeds: [1, 2, 3]}}
executor: {{kind: process, threads: 1}}
arms:
  full: {{method: full, space: {_SPACE}}}
  head: {{method: head, space: {_SPACE}}}
  bitfit: {{method: bitfit, space: {_SPACE}}}
"""
_FILE = f"{NAME}.yaml"
_ROOT = Path(__file__).parents[1]
_WITH_LAUNCHER = ("launcher", "both")
_DONE = re.compile(r"^[\d:]{8} .*  (?:best|mean) .* s$", re.MULTILINE)
"""A line of a finished run that was not found."""
_SECONDS_TO_FINISH, _SECONDS_FOR_A_VICTIM = 300.0, 60.0
_MOST_STARTS = 60


class Unfinished(Exception):
    """A study does not end."""


@dataclass(frozen=True)
class Draw:
    """A drawn kill; the victim depends on the processes at that time."""

    pause: float
    """Seconds after the last kill."""
    kind: str
    slot: int
    """Number of the launcher, if both have such a process."""
    later: float
    """More seconds if a process of the kind must first appear."""


@dataclass(frozen=True)
class Kill:
    """A kill that was done."""

    kind: str
    moment: float
    """Seconds since 1970."""
    second: float
    """Second of the study."""
    done: int
    """Runs that launchers had reported as finished by then, of `RUNS`."""


@dataclass
class Launcher:
    """A `tuner run-study` that was started."""

    process: subprocess.Popen[bytes]
    errors: Path
    """File of its standard error."""
    hit: bool = False
    """A process of it was killed: it may end with an error, in one line."""
    runs_killed: int = 0
    """Kills of one of its runs alone."""

    def lives(self) -> bool:
        """Return whether it is running."""
        return self.process.poll() is None

    def processes(self, kind: str) -> list[psutil.Process]:
        """Return its processes that write to MLflow, or train.

        The one that writes has MLflow's database open. A run's leads a process group of its own,
        and was forked by the standard library's server.
        """
        is_one, found = _writes if kind == "writer" else _trains, []
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error, ProcessLookupError):
                    found += [process] * is_one(process)
        return found

    def fault(self) -> str:
        """Return the fault of a launcher that ended with an error of its own, or ""."""
        said = self.errors.read_text().strip()
        if self.hit and "Traceback" not in said:
            return ""
        return f"a launcher ended with code {self.process.returncode}: {said[-300:]}"


@dataclass
class Study:
    """The study in a folder of its own."""

    folder: Path
    slots: list[Launcher] = field(default_factory=list)
    """The two launchers that were started last."""
    kills: list[Kill] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """Launchers that ended with an error and without a reason."""
    _started: int = 0
    _begun: float = field(default_factory=time.time)

    def begin(self) -> None:
        """Write the study's file, start both launchers."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / _FILE).write_text(STUDY)
        self.slots = [self._start(), self._start()]

    def kill(self, draw: Draw) -> None:
        """Kill a process of the drawn kind, or a launcher where there is none; start it again."""
        self._wait(draw.pause)
        launcher, process = self._victim(draw)
        kind = draw.kind if process else "launcher"
        if kind == "run" and launcher.runs_killed == _RUNS_KILLED:
            kind = "both"
        launcher.runs_killed += kind == "run"
        now = time.time()
        self.kills.append(Kill(kind, now, now - self._begun, self._done()))
        launcher.hit = True
        if kind in _WITH_LAUNCHER:  # which does not see the end of its run
            launcher.process.send_signal(signal.SIGSTOP)
        if process:
            process.kill()
        if kind in _WITH_LAUNCHER:
            launcher.process.kill()
            launcher.process.wait()
            self.slots[self.slots.index(launcher)] = self._start()

    def finish(self) -> float:
        """Wait until both launchers are done; return the seconds since the beginning."""
        until = time.monotonic() + _SECONDS_TO_FINISH
        while not self._is_done():
            if time.monotonic() > until:
                raise Unfinished(f"not done {_SECONDS_TO_FINISH:.0f} s after the last kill")
            time.sleep(0.05)
        return time.time() - self._begun

    def report(self) -> Path:
        """Make the reports; return their folder."""
        words = ["--format", "md,csv,json", "--output", "out"]
        subprocess.run(
            [*TUNER, "report", _FILE, *words],
            cwd=self.folder,
            env=_environment(),
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return self.folder / "out"

    def end(self) -> None:
        """End all launchers."""
        for launcher in self.slots:
            launcher.process.kill()
            launcher.process.wait()

    def _start(self) -> Launcher:
        self._started += 1
        if self._started > _MOST_STARTS:
            raise Unfinished(f"launchers were started {_MOST_STARTS} times")
        out, errors = (self.folder / f"{self._started}.{name}" for name in ("out", "err"))
        with out.open("wb") as stdout, errors.open("wb") as stderr:
            process = start(
                ["run-study", _FILE],
                cwd=self.folder,
                environment=_environment(),
                stdout=stdout,
                stderr=stderr,
            )
        return Launcher(process, errors)

    def _is_done(self) -> bool:
        """Restart launchers that ended with an error; return whether both are done."""
        for slot, launcher in enumerate(self.slots):
            if launcher.process.poll():
                self.faults += filter(None, [launcher.fault()])
                self.slots[slot] = self._start()
        return all(launcher.process.poll() == 0 for launcher in self.slots)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._is_done()
            time.sleep(0.01)

    def _done(self) -> int:
        return sum(len(_DONE.findall(path.read_text())) for path in self.folder.glob("*.out"))

    def _victim(self, draw: Draw) -> tuple[Launcher, psutil.Process | None]:
        """Find the victim; wait a while for a process of the kind, then take a launcher.

        A study that is done is started again: it must not change.
        """
        until, waited = time.monotonic() + _SECONDS_FOR_A_VICTIM, False
        while time.monotonic() < until and not self._is_done():
            launchers = self._living(draw.slot)
            if draw.kind == "launcher":
                return launchers[0], None
            found = [(one, p) for one in launchers for p in one.processes(draw.kind)]
            if found and not waited:
                return found[0]
            if found:
                time.sleep(draw.later)
            waited = not found
            time.sleep(0.01)
        if self._is_done():
            self.slots = [self._start(), self._start()]
            time.sleep(draw.later)
        return self._living(draw.slot)[0], None

    def _living(self, first: int) -> list[Launcher]:
        """Return the running launchers, the one in the slot `first` first."""
        return [one for one in (self.slots[first], self.slots[1 - first]) if one.lives()]


def start(
    words: Sequence[str],
    *,
    cwd: Path,
    environment: dict[str, str],
    stdout: IO[bytes],
    stderr: IO[bytes],
) -> subprocess.Popen[bytes]:
    """Start a command of the program; tests put another way to do so in its place."""
    command = [*TUNER, *words]
    return subprocess.Popen(command, cwd=cwd, env=environment, stdout=stdout, stderr=stderr)


def _writes(process: psutil.Process) -> bool:
    return any(file.path.endswith("mlflow.db") for file in process.open_files())


def _trains(process: psutil.Process) -> bool:
    forked = "multiprocessing.forkserver" in " ".join(process.cmdline())
    return forked and os.getpgid(process.pid) == process.pid


def _environment() -> dict[str, str]:
    own = {"PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    return os.environ | own
