"""Start the process that makes MLflow's calls, one for all stores, and speak to it.

MLflow works a fifth of a second for a trial, and a launcher's threads would wait for it; and to
load it takes seconds, in which the launcher can do something else.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from multiprocessing.connection import Pipe
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeAlias

from trainers.errors import ConfigError
from tuner.tracking.faults import TrackerRefused

_MODULE = "tuner.tracking.scribe"
_SECONDS_TO_FINISH, _SECONDS_TO_END = 0.5, 5
_Request: TypeAlias = tuple[int, str, tuple[Any, ...]]


class Surroundings(NamedTuple):
    """What the launcher had around it when it opened a store."""

    folder: str
    """It worked in."""
    variables: dict[str, str]
    """Of its environment."""


class TrackingProcess:
    """One process for all stores that this one writes to. It ends when this one does.

    A thread speaks to it, and whoever asks waits for that thread: an interrupt while one waits
    does not leave an answer behind that the next would take for its own.
    """

    def __init__(self) -> None:
        here, there = Pipe()
        ends, self._lifeline = os.pipe()  # no other process has the writing end
        arguments = [str(there.fileno()), str(ends)]
        with there, open(ends):
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", _MODULE, *arguments],
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(_folders())},
                    pass_fds=[there.fileno(), ends],
                    stdin=subprocess.DEVNULL,
                    stdout=_stderr(),
                    start_new_session=True,  # Ctrl-C is the launcher's
                )
            except OSError as error:
                os.close(self._lifeline)
                raise ConfigError(
                    f"the process that writes to MLflow cannot be started: {error.strerror}"
                ) from error
        self._connection = here
        self._numbers = itertools.count()
        self._closed: deque[int] = deque()
        self._requests: SimpleQueue[tuple[_Request, Future[Any]] | None] = SimpleQueue()
        threading.Thread(target=self._speak, daemon=True).start()
        atexit.register(self._end)

    @property
    def pid(self) -> int:
        """Return the number of the process."""
        return self._process.pid

    def lives(self) -> bool:
        """Say whether it can be asked."""
        return self._process.poll() is None

    def open(self, store: str | Path) -> int:
        """Open a store; return its number. What is relative is so to the folder of now."""
        number = next(self._numbers)
        variables = {name: os.environ[name] for name in os.environ if name != "PYTHONPATH"}
        self.ask(number, "open", store, Surroundings(os.getcwd(), variables))
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
        answer: Future[Any] = Future()
        self._requests.put(((number, method, arguments), answer))
        return answer.result()

    def _speak(self) -> None:
        """Put one request after another, in a thread of its own."""
        while (asked := self._requests.get()) is not None:
            request, answer = asked
            closed = [self._closed.popleft() for _ in range(len(self._closed))]
            try:
                self._connection.send((closed, *request))
                result, raised = self._connection.recv()
            except (EOFError, OSError):
                lost = f"the process that writes to MLflow ended with code {self._process.wait()}"
                answer.set_exception(
                    TrackerRefused(f"{lost}; the same command writes what is left")
                )
            except Exception as error:  # what cannot be sent, or be understood
                answer.set_exception(error)
            else:
                answer.set_result(result) if raised is None else answer.set_exception(raised)
        self._connection.close()

    def _end(self) -> None:
        """Let the process go, so that it is gone when this one is."""
        self._requests.put(None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_FINISH)
        os.close(self._lifeline)
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def forget(self) -> None:
        """Leave it to the process that this one was forked from."""
        atexit.unregister(self._end)
        os.close(self._lifeline)
        self._connection.close()


def _folders() -> Iterator[str]:
    """Yield where modules are looked for; Python passes over what is no text."""
    for folder in sys.path:
        if isinstance(folder, str):
            yield folder or os.getcwd()


def _stderr() -> int:
    try:
        return sys.__stderr__.fileno() if sys.__stderr__ else subprocess.DEVNULL
    except (OSError, ValueError):  # closed
        return subprocess.DEVNULL


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

    def forget(self) -> None:
        """Have none: this process was forked from the one that has it."""
        process, self._process, self._lock = self._process, None, threading.Lock()
        if process is not None:
            process.forget()


_here = _Here()
os.register_at_fork(after_in_child=_here.forget)


def tracking_process() -> TrackingProcess:
    """Return the process that makes MLflow's calls; it begins to load MLflow."""
    return _here.get()
