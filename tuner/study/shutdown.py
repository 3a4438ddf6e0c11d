"""End a study before its time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tuner.executors import Executor
from tuner.store import RunInterrupted


class Ending:
    """Ends a study before its time: its runs, and whatever waits."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._begun = threading.Event()
        self._told: list[Callable[[], None]] = []

    def tell(self, listener: Callable[[], None]) -> None:
        """Have something called when it begins, and maybe again."""
        self._told.append(listener)

    def close(self) -> None:
        """End every run that is going on, and all waiting."""
        self._begun.set()
        for listener in self._told:
            listener()
        self._executor.close()

    def pause(self, seconds: float) -> None:
        """Wait, for another launcher or for the database.

        Raises:
            RunInterrupted: The study is being closed.
        """
        if self._begun.wait(seconds):
            raise RunInterrupted
