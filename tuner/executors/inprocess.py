"""Do runs in the launcher itself: for debugging, and for a look at a run with a profiler."""

from __future__ import annotations

import traceback

from trainers.contract import Emit, Rank, RunResult, RunSpec, StopRun, Workspace
from trainers.errors import RunFailed, TunerError, failure
from tuner.executors.base import Executor


class InprocessExecutor(Executor):
    """Calls `train`. A crash of the interpreter is a crash of the study."""

    def run(self, spec: RunSpec, emit: Emit, workspace: Workspace) -> RunResult:
        """Do one run, here and now."""
        from trainers.train import train_rank

        try:
            return train_rank(spec, emit, workspace, rank=Rank())
        except (StopRun, RunFailed):
            raise
        except TunerError as error:
            raise RunFailed(str(error)) from error
        except Exception as error:
            raise RunFailed(failure(error), traceback.format_exc()) from error

    def close(self) -> None:
        """Do nothing: Ctrl-C reaches the run as it is."""
