"""Have MLflow's calls made by a process of their own, for two reasons.

MLflow works a fifth of a second for a trial, and a launcher's threads would wait for it; and to
load it takes seconds, in which the launcher can do something else.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import socket
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tuner.trackers.base import Curve, Phase, RunRecord
from tuner.trackers.calls import Call
from tuner.trackers.faults import TrackerRefused

_MODULE = "tuner.trackers.scribe"
_SECONDS_TO_END = 5


class TrackingProcess:
    """One process for all stores that this one writes to. It ends when this one does."""

    def __init__(self) -> None:
        here, there = socket.socketpair()
        ends, self._lifeline = os.pipe()  # no other process has the writing end
        folders = [folder or os.getcwd() for folder in sys.path]
        with there, open(ends):
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _MODULE, str(there.fileno()), str(ends)],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
                pass_fds=[there.fileno(), ends],
                stdin=subprocess.DEVNULL,
                stdout=sys.__stderr__.fileno() if sys.__stderr__ else subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is the launcher's
            )
        self._connection = Connection(here.detach())
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._closed: deque[int] = deque()
        atexit.register(self._end)

    @property
    def pid(self) -> int:
        """Return the number of the process."""
        return self._process.pid

    def lives(self) -> bool:
        """Say whether it can be asked."""
        return self._process.poll() is None

    def open(self, store: str | Path) -> int:
        """Open a store; return its number."""
        with self._lock:
            number = next(self._numbers)
        variables = {name: os.environ[name] for name in os.environ if name.startswith("MLFLOW_")}
        self.ask(number, "open", store, variables)
        return number

    def close(self, number: int) -> None:
        """Close a store when something is asked next: this may be called at any point."""
        self._closed.append(number)

    def ask(self, number: int, method: str, *arguments: Any) -> Any:
        """Have a method of a store's scribe called.

        Raises:
            TrackerRefused: The process has died.
            Exception: What the method raises.
        """
        with self._lock:
            closed = [self._closed.popleft() for _ in range(len(self._closed))]
            try:
                self._connection.send((closed, number, method, arguments))
                answer, error = self._connection.recv()
            except (EOFError, OSError) as lost:
                code = self._process.wait()
                raise TrackerRefused(
                    f"the process that writes to MLflow ended with code {code}; the same command "
                    "writes what is left"
                ) from lost
        if error is not None:
            raise error
        return answer

    def _end(self) -> None:
        """Let the process go, so that it is gone when this one is."""
        os.close(self._lifeline)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)


class _Here:
    """The process that this one has."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: TrackingProcess | None = None

    def get(self) -> TrackingProcess:
        """Return the process, started where there is none."""
        with self._lock:
            if self._process is None or not self._process.lives():
                self._process = TrackingProcess()
            return self._process


_here = _Here()


def tracking_process() -> TrackingProcess:
    """Return the process that makes MLflow's calls; it begins to load MLflow."""
    return _here.get()


class RemoteScribe:
    """Writes to a store and reads it, by calls to the tracking process. Thread-safe.

    Args:
        store: A folder, or the address of an MLflow server.

    Raises:
        ConfigError: The store cannot be opened.
    """

    def __init__(self, store: str | Path) -> None:
        self._process = tracking_process()
        self._number = self._process.open(store)
        weakref.finalize(self, self._process.close, self._number)

    def _ask(self, method: str, *arguments: Any) -> Any:
        return self._process.ask(self._number, method, *arguments)

    def open_study(self, name: str, resolved_yaml: str) -> None:
        """Make or open a study."""
        self._ask("open_study", name, resolved_yaml)

    def make(self, call: Call, ids: dict[str, str]) -> str:
        """Make a call; return the store's id of its group or run.

        Args:
            call: The call.
            ids: The store's ids of the group and the run, by those that the call has.

        Raises:
            ServerAway: The server cannot be reached.
            StoreRefused: The store does not take it.
        """
        made: str = self._ask("make", call, ids)
        return made

    def make_left(self, name: str, folder: Path, study: str) -> None:
        """Make what dead launchers of a study have left.

        Raises:
            ConfigError: The server is away.
        """
        self._ask("make_left", name, folder, study)

    def log_report(self, study: str, folder: Path) -> str:
        """Keep a report; return the id of its run."""
        run_id: str = self._ask("log_report", study, folder)
        return run_id

    def runs(self, study: str, phase: Phase | None) -> list[RunRecord]:
        """Read a study's runs."""
        found: list[RunRecord] = self._ask("runs", study, phase)
        return found

    def curves(self, run_ids: Sequence[str], names: Sequence[str]) -> list[Curve]:
        """Read the curves of runs."""
        found: list[Curve] = self._ask("curves", list(run_ids), list(names))
        return found

    def artifact(self, run_id: str, name: str) -> Path | None:
        """Return a local path of a file that a run left."""
        path: Path | None = self._ask("artifact", run_id, name)
        return path

    def study_yaml(self, study: str) -> str:
        """Return the resolved YAML of a study."""
        text: str = self._ask("study_yaml", study)
        return text

    def studies(self) -> list[str]:
        """List the studies in the store."""
        found: list[str] = self._ask("studies")
        return found
