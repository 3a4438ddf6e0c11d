"""Where runs are done. One file each; all keep the contract of `Executor`."""

from __future__ import annotations

from tuner.config import ExecutorSettings
from tuner.executors.base import Executor, RunInterrupted

__all__ = ["Executor", "RunInterrupted", "make_executor"]


def make_executor(settings: ExecutorSettings) -> Executor:
    """Make the executor that a study names."""
    if settings.kind == "inprocess":
        from tuner.executors.inprocess import InprocessExecutor

        return InprocessExecutor()
    from tuner.executors.process import ProcessExecutor

    return ProcessExecutor()
