"""Shut a study down early."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tuner.executors import Executor
from tuner.store import RunInterrupted


class Shutdown:
    """Ends a study's runs and waits early: on Ctrl-C, an error, or a lost lease."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._begun = threading.Event()
        self._callbacks: list[Callable[[], None]] = []

    def on_begin(self, callback: Callable[[], None]) -> None:
        """Add a function to be called when the shutdown begins; it may be called again."""
        self._callbacks.append(callback)

    def begin(self) -> None:
        """End every running run, and all waiting."""
        self._begun.set()
        for callback in self._callbacks:
            callback()
        self._executor.close()

    def pause(self, seconds: float) -> None:
        """Wait for another launcher or for the database.

        Raises:
            RunInterrupted: The study is being closed.
        """
        if self._begun.wait(seconds):
            raise RunInterrupted
