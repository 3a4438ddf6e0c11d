"""Compute something of a run in a process of its own, forked from the server that has torch."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any, TypeVar

from trainers.errors import RunFailed, TunerError, failure
from tuner.executors.process.server import start_server
from tuner.store.database import RunInterrupted

T = TypeVar("T")


class Aside:
    """Calls functions in processes that end with the call, and leave nothing in a run's."""

    def __init__(self, context: ForkServerContext) -> None:
        self._context = context
        self._live: set[ForkServerProcess] = set()
        self._closed = False
        self._lock = threading.Lock()

    def compute(self, function: Callable[..., T], *args: Any) -> T:
        """Return what the function returns.

        Raises:
            RunFailed: It raised, or its process died.
            RunInterrupted: `close` was called.
        """
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_child, args=(function, args, sender))
        start_server()
        with self._lock, sender:
            if self._closed:
                raise RunInterrupted
            process.start()
            self._live.add(process)
        try:
            with receiver:
                error, result = receiver.recv()
        except EOFError:
            if self._closed:
                raise RunInterrupted from None
            process.join()
            raise RunFailed(f"its process ended with exit code {process.exitcode}") from None
        finally:
            with self._lock:
                self._live.discard(process)
        process.join()
        if error:
            raise RunFailed(error)
        answer: T = result
        return answer

    def close(self) -> None:
        """Kill every process that is computing."""
        with self._lock:
            self._closed = True
            for process in self._live:
                if process.pid is not None:
                    with contextlib.suppress(ProcessLookupError):  # it has just ended
                        os.kill(process.pid, signal.SIGKILL)


def _child(function: Callable[..., Any], args: tuple[Any, ...], sender: Connection) -> None:
    """Compute in the child, silently, out of reach of the terminal's Ctrl-C."""
    os.setsid()
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, sys.stdout.fileno())
    os.dup2(silence, sys.stderr.fileno())
    try:
        sender.send(("", function(*args)))
    except TunerError as error:
        sender.send((str(error), None))
    except BaseException as error:
        sender.send((failure(error), None))
    os._exit(0)
