"""Do runs in the launcher itself: for debugging and profiling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from trainers.contract import Emit, Rank, RunResult, RunSpec, StopRun, Workspace
from trainers.errors import ConfigError, RunFailed
from tuner.config import ExecutorSettings
from tuner.executors import Executor
from tuner.executors._messages import failure_message

if TYPE_CHECKING:
    from tuner.config import StudyConfig


class InprocessSettings(ExecutorSettings):
    """Runs in the launcher itself, one at a time: for debugging."""

    kind: Literal["inprocess"] = "inprocess"
    """File name of the plug-in."""

    @model_validator(mode="after")
    def _one_at_a_time(self) -> InprocessSettings:
        if self.workers > 1:
            raise ConfigError(
                f"workers: got {self.workers}; allowed: 1 with the executor inprocess"
            )
        return self

    def conflicts(self, study: StudyConfig) -> Iterator[str]:
        """Return the settings that need processes of their own."""
        for name, arm in study.arms.items():
            ranks = study.ranks_of(name)
            if ranks > 1:
                key = "ranks" if arm.ranks is None else f"arms.{name}.ranks"
                yield f"{key}: got {ranks}; allowed: 1 with the executor inprocess; use process"
            if study.deepspeed_of(name):
                key = "deepspeed" if arm.deepspeed is None else f"arms.{name}.deepspeed"
                yield f"{key}: it needs processes of its own; use the executor process"

    def _open(self, ranks: int) -> Executor:
        return _InprocessExecutor()


class _InprocessExecutor(Executor):
    """Calls `train_rank`. A crash of the interpreter is a crash of the study."""

    def run(self, spec: RunSpec, emit: Emit, workspace: Workspace) -> RunResult:
        """Do one run in this thread."""
        from trainers.train import train_rank

        try:
            return train_rank(spec, emit, workspace, rank=Rank())
        except (StopRun, RunFailed):
            raise
        except Exception as error:
            raise failure_message(error).failure() from error

    def close(self) -> None:
        """Do nothing: Ctrl-C reaches the run anyway."""
