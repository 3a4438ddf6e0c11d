"""The executor `process`: each run in processes of its own, one a rank. Its settings."""

from __future__ import annotations

from typing import Literal

from tuner.config import ExecutorSettings
from tuner.executors import Executor


class ProcessSettings(ExecutorSettings):
    """Each run in a process of its own; with several ranks, one process a rank."""

    kind: Literal["process"] = "process"
    """Folder name of the plug-in."""

    def _open(self, ranks: int) -> Executor:
        from tuner.executors.process.executor import ProcessExecutor

        return ProcessExecutor()
