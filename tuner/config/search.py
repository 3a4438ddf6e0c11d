"""The budget and the objectives of a study: search, confirm, seeds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from trainers.contract import Seeds
from trainers.errors import ConfigError, known, shown
from trainers.plugins import Written
from tuner.config.samplers import Pruner, Sampler

_SCORE = re.compile(r"loss|accuracy|macro_f1|micro_f1|f1/.+")
_COST = re.compile(
    r"memory/(load|train|eval)/(peak|allocator|resident|cuda_allocated|cuda_reserved|nvml)_bytes"
    r"|seconds/(load|train|eval)|parameters/(total|trained|head|adapter)"
)


def _seeds(value: object) -> object:
    """Read one number as all seeds; its faults are not blamed on a field of `Seeds`."""
    if isinstance(value, Mapping | Seeds):
        return value
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**32:
        allowed = "a whole number from 0 to 4294967295, or a mapping such as {init: 1, order: 2}"
        raise ConfigError(f"expected {allowed}, got {shown(value)}")
    return {"init": number, "order": number}


SeedSet = Annotated[Seeds, BeforeValidator(_seeds)]


class Objective(Written):
    """A number that the search maximises or minimises."""

    metric: str
    """A validation metric such as macro_f1, or a cost such as memory/train/peak_bytes."""
    direction: Literal["maximize", "minimize"] | None = None
    """The better direction; by default that of the metric."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        return {"metric": value} if isinstance(value, str) else value

    @field_validator("metric")
    @classmethod
    def _logged(cls, metric: str) -> str:
        if _COST.fullmatch(metric):
            return metric
        return check_score(metric)

    def way(self) -> Literal["maximize", "minimize"]:
        """Return the direction; by default minimize for losses and costs, else maximize."""
        cost = self.metric == "loss" or _COST.fullmatch(self.metric) is not None
        return self.direction or ("minimize" if cost else "maximize")

    @property
    def logged(self) -> str:
        """Name of the metric in a run's result."""
        return self.metric if _COST.fullmatch(self.metric) else f"validation/{self.metric}"

    def of(self, metrics: Mapping[str, float]) -> float:
        """Pick this objective's value out of a run's metrics.

        Raises:
            ConfigError: The run has no such metric.
        """
        if self.logged not in metrics:
            raise ConfigError(f"metric: no such metric {self.metric!r}; known: {known(metrics)}")
        return metrics[self.logged]


class Finalists(Written):
    """The best finished trials of a search, which fresh seeds decide between."""

    count: int = Field(default=3, ge=0)
    """Most finalists of a cell; 0, or `none` for the whole: the best trial is confirmed."""
    seeds: tuple[SeedSet, ...] | None = None
    """Seeds of their runs; by default the first three from 8 on that nothing else uses."""

    @model_validator(mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        if value == "none":
            return {"count": 0}
        if value is None or not isinstance(value, Mapping | Finalists):
            allowed = "none, or a mapping such as {count: 3, seeds: [8, 9, 10]}"
            raise ConfigError(f"expected {allowed}, got {shown(value)}")
        return value

    @field_validator("count")
    @classmethod
    def _a_choice(cls, count: int) -> int:
        if count == 1:
            raise ConfigError("got 1; allowed: 2 and more to choose from, or 0 for none")
        return count

    @field_validator("seeds")
    @classmethod
    def _differ(cls, seeds: tuple[Seeds, ...] | None) -> tuple[Seeds, ...] | None:
        return seeds if seeds is None else _distinct(seeds)


class SearchSettings(Written):
    """The budget of every arm that has a space, the same for all."""

    trials: int = Field(default=12, ge=1)
    """Configurations tried in each cell."""
    seeds: tuple[SeedSet, ...] = (Seeds(init=7, order=7),)
    """Seeds of each trial; with several, its value is their mean."""
    sampler: Sampler = Sampler(kind="tpe")
    """Sampler of the points."""
    sampler_seed: int = Field(default=0, ge=0)
    """Seed of the sampler's own randomness."""
    pruner: Pruner = Pruner(kind="hyperband")
    """Pruner of bad trials; wilcoxon needs several seeds."""
    finalists: Finalists = Finalists()
    """Fresh seeds for the best trials, so that luck on one seed is not what is chosen."""
    objectives: tuple[Objective, ...] = ()
    """Several objectives at once; by default the study's metric alone."""

    @field_validator("seeds")
    @classmethod
    def _differ(cls, seeds: tuple[Seeds, ...]) -> tuple[Seeds, ...]:
        return _distinct(seeds)


class ConfirmSettings(Written):
    """The runs that are compared."""

    seeds: tuple[SeedSet, ...] = tuple(Seeds(init=n, order=n) for n in (1, 2, 3, 4, 5))
    """Fresh seeds, none of them used in search."""
    added: int = Field(default=0, ge=0)
    """How many of these seeds, the last ones, were added after the study had ended."""

    @field_validator("seeds")
    @classmethod
    def _differ(cls, seeds: tuple[Seeds, ...]) -> tuple[Seeds, ...]:
        return _distinct(seeds)

    @model_validator(mode="after")
    def _not_all_added(self) -> Self:
        if self.added >= len(self.seeds):
            allowed = f"fewer than the {len(self.seeds)} seeds"
            raise ConfigError(f"added: got {self.added}; allowed: {allowed}")
        return self

    @property
    def first(self) -> tuple[Seeds, ...]:
        """The seeds that the study began with."""
        return self.seeds[: len(self.seeds) - self.added]


class ReportSettings(Written):
    """What the report is asked, fixed before there are results."""

    baseline: str | None = None
    """Arm that every other is compared with; by default the arm `full`, else all pairs."""
    margin: float = Field(default=0.01, ge=0, lt=1)
    """Difference of scores, as a fraction, up to which arms count as equally good: .01 is one
    point. 0: none is too small to matter."""


def rank_trials(
    values: Mapping[int, Sequence[float]],
    objectives: Sequence[Objective],
    fresh: Mapping[int, Sequence[Mapping[str, float]]] | None = None,
    *,
    seeds: tuple[int, int] = (1, 0),
) -> list[int]:
    """Return the numbers of finished trials, best first.

    The mean over all seeds decides, objective by objective; then the number of runs that name one
    class alone; then the number of the trial. A trial that lacks a fresh run, which failed or
    diverged, comes after those that lack none.

    Args:
        values: A trial's value of each objective: the mean over the search's seeds.
        objectives: The objectives of the search.
        fresh: Metrics of the finished runs of finalists on fresh seeds.
        seeds: Number of the search's seeds, and of the fresh ones.
    """
    signs = [-1.0 if objective.way() == "maximize" else 1.0 for objective in objectives]
    known, expected = fresh or {}, seeds[1]

    def rank(number: int) -> tuple[bool, tuple[float, ...], int, int]:
        runs = known.get(number, ())
        costs = []
        for sign, value, objective in zip(signs, values[number], objectives, strict=True):
            found = [objective.of(run) for run in runs]
            costs.append(sign * math.fsum([value * seeds[0], *found]) / (seeds[0] + len(found)))
        return len(runs) < expected, tuple(costs), sum(map(_one_class, runs)), number

    return sorted(values, key=rank)


def _one_class(metrics: Mapping[str, float]) -> bool:
    """Return whether a run names one class alone, right or wrong."""
    scores = [value for name, value in metrics.items() if name.startswith("validation/f1/")]
    return len(scores) > 1 and sum(value > 0 for value in scores) <= 1


def check_score(metric: str) -> str:
    """Return the name of a score that runs log.

    Raises:
        ConfigError: Runs log no such score.
    """
    if not _SCORE.fullmatch(metric):
        allowed = "accuracy, macro_f1, micro_f1, loss, f1/<label>"
        raise ConfigError(f"no such metric, got {metric!r}; known: {allowed}")
    return metric


def _distinct(seeds: tuple[Seeds, ...]) -> tuple[Seeds, ...]:
    if not seeds:
        raise ConfigError("at least one seed is needed, got none")
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds must differ, got {[s.init for s in seeds]}")
    return seeds
