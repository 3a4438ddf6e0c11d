"""Where runs are done: the contract of executors. Each other file or folder is a kind of them.

A study names a kind, `tuner.config` reads its settings, and their `open` makes the executor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from trainers.contract import Emit, RunResult, RunSpec, Workspace
from trainers.errors import RunFailed
from tuner.executors._messages import failure_message

__all__ = ["MOST_KILLS", "Executor", "RunLost"]

T = TypeVar("T")

MOST_KILLS = 3
"""A run that is killed this many times has failed: it may use up the memory itself."""


class RunLost(Exception):  # a state, not an error
    """The machine that did the run is gone; the run may be done again."""


class Executor(ABC):
    """Runs specs. `run` may be called from several threads at once."""

    computes_aside: ClassVar[bool] = False
    """Whether `compute` has a process of its own, and so may run beside a run."""

    @abstractmethod
    def run(self, spec: RunSpec, emit: Emit, workspace: Workspace) -> RunResult:
        """Do one run.

        Args:
            spec: The run.
            emit: Called in the caller's thread with each event, in order.
            workspace: The run's folders and threads.

        Raises:
            StopRun: `emit` raised it; the run has ended.
            OutOfMemory: A RunFailed; with fewer rows at once the run may succeed.
            RunKilled: A RunFailed; the run may be done again.
            RunFailed: The run ended without a result.
            RunInterrupted: `close` was called; the run has ended.
            RunLost: The run's machine is gone.
        """

    def warm_up(self) -> None:  # noqa: B027  # most have nothing to prepare
        """Prepare for the first run in the background."""

    def compute(self, function: Callable[..., T], *args: Any) -> T:
        """Return the result of a function of `trainers` that needs torch; here, in the launcher.

        Raises:
            RunFailed: The function raised an exception.
            RunInterrupted: `close` was called.
        """
        try:
            return function(*args)
        except RunFailed:
            raise
        except Exception as error:
            raise failure_message(error).failure() from error

    @abstractmethod
    def close(self) -> None:
        """End every running run; `run` raises RunInterrupted in their threads."""
