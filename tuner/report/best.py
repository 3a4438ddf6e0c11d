"""Hold the configuration of the best arm, and write it as a study of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trainers.errors import ConfigError
from tuner.config import StudyConfig, Value, dump_study, fixed_at


@dataclass(frozen=True)
class BestConfiguration:
    """The arm with the best mean of a task and model, with the values that its search chose."""

    study: str
    task: str
    model: str
    arm: str
    mean: float
    """Mean test score over the seeds, as a fraction (a loss in nats)."""
    chosen: Mapping[str, Value]
    """Value of each searched field, such as `train.learning_rate`; empty: it was not searched."""
    run_id: str
    """MLflow run of the configuration, whose children are the runs of its seeds."""
    config: StudyConfig | None = field(repr=False, default=None)
    """The study, where its definition is known."""

    def to_yaml(self) -> str:
        """Return a study of this arm alone, with the chosen values fixed and nothing searched.

        `tuner run-study` takes the text as a file: it trains the configuration on the study's
        confirm seeds.

        Raises:
            ConfigError: The study's definition is not known.
        """
        if self.config is None:
            raise ConfigError(
                f"study {self.study!r}: its definition is not known, so it cannot be written out"
            )
        return dump_study(fixed_at(self.config, (self.task, self.model, self.arm), self.chosen))
