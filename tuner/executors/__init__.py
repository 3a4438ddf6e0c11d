"""Where runs are done. One file each; all keep the contract of `Executor`."""

from __future__ import annotations

import importlib.util
import os

from trainers.errors import ConfigError
from tuner.config import ExecutorSettings
from tuner.executors.base import Executor, RunLost

__all__ = ["Executor", "RunLost", "make_executor"]


def make_executor(settings: ExecutorSettings, *, ranks: int = 1) -> Executor:
    """Make the executor that a study names.

    Args:
        settings: What the study says of it.
        ranks: The most that a run of the study has.

    Raises:
        ConfigError: It needs a package that is not installed.
    """
    if settings.kind == "inprocess":
        from tuner.executors.inprocess import InprocessExecutor

        return InprocessExecutor()
    if settings.kind == "ray":
        if importlib.util.find_spec("ray") is None:
            raise ConfigError(
                "executor.kind: ray needs the extra `ray`; run `pip install 'tuner-studies[ray]'`"
            )
        # Of a signal that ends the study, Ray would print where in its code it was.
        os.environ.setdefault("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")
        from tuner.executors.ray.executor import RayExecutor

        return RayExecutor(settings, ranks=ranks)
    from tuner.executors.process.executor import ProcessExecutor

    return ProcessExecutor()
