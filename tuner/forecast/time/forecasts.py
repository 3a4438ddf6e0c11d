"""The estimate of `tuner plan`. `--json` prints an Estimate, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from trainers.plugins import Frozen

Source = Literal["earlier runs", "similar runs", "probe"]
"""earlier runs: of the same cells; similar runs: of the same task and model; probe: measured."""


class Count(Frozen):
    """Runs of one phase."""

    planned: int
    """Most runs of the study; a pruned trial does fewer of its seeds."""
    done: int
    """Runs that are in the store already and are not done again."""
    left: int
    """Runs still to be done."""


class Span(Frozen):
    """Wall seconds with their error."""

    likely: float
    """Best guess."""
    low: float
    """Lower end of the 95% interval."""
    high: float
    """Upper end of it."""


class CellForecast(Frozen):
    """One cell."""

    task: str
    """Name of the task."""
    model: str
    """Name of the model."""
    arm: str
    """Name of the arm."""
    search: Count
    """Search runs; none for an arm without a space."""
    finalists: Count
    """Runs of the finalists; at most so many until the search has ended."""
    confirm: Count
    """Confirm runs."""
    search_run_seconds: float | None
    """Wall seconds of one search run; null: unknown, or the arm is not searched."""
    confirm_run_seconds: float | None
    """Wall seconds of one confirm run; null: unknown."""
    source: Source | None
    """Source of the seconds; null: unknown."""
    based_on: int
    """Number of runs behind the seconds; 1 for a probe."""


class DiskForecast(Frozen):
    """Bytes that the remaining runs add to the store; all are rough."""

    run_folders_bytes: int
    """Specs and predictions under `runs/`."""
    artifacts_bytes: int
    """In MLflow: copies of specs and predictions, each configuration's study, the report."""
    databases_bytes: int
    """Growth of the journal's and MLflow's databases."""
    cache_bytes: int
    """Tokenised data, once for each task and model."""
    models_bytes: int | None
    """Trained models that `save` keeps, in the run's folder and in MLflow; null: their sizes are
    unknown until a run has finished."""
    total_bytes: int
    """Sum of the known parts."""
    measured: bool
    """Whether file sizes come from runs in the store; false: from the number of rows."""


class PairSpread(Frozen):
    """Two arms, and the spread of their difference over seeds."""

    arm_a: str
    """First arm."""
    arm_b: str
    """Second arm."""
    n: int
    """Common seeds."""
    std_difference: float
    """Standard deviation of the difference between the arms, in the metric's unit."""
    seeds: int | None
    """Seeds needed to detect the difference; null: more than 1,000."""


class BlockSpread(Frozen):
    """Pairs of arms on one task and model."""

    task: str
    """Name of the task."""
    model: str
    """Name of the model."""
    pairs: int
    """Pairs of arms with a known spread."""
    largest: PairSpread
    """The pair with the largest spread."""
    median: PairSpread
    """The median pair; of two, the one with the larger spread."""


class SeedsForecast(Frozen):
    """Seeds that a comparison needs."""

    metric: str
    """Metric that arms are compared by."""
    difference: float
    """Difference to detect, in the metric's unit."""
    level: float
    """Chance of an error of the first kind over all comparisons."""
    power: float
    """Chance to detect a true difference of this size."""
    comparisons: int
    """Pairs of arms in the study; the level is shared among them."""
    planned: int
    """Confirm seeds of the study."""
    source: Literal["confirm runs", "search runs"] | None
    """Source of the spread; null: none yet."""
    blocks: tuple[BlockSpread, ...]
    """Spreads by task and model."""
    given_std: float | None
    """Standard deviation of one arm over seeds, given by the user."""
    given_seeds: int | None
    """Seeds needed if two arms have this deviation, independently of each other; null: not
    given, or more than 1,000."""


class Layout(Frozen):
    """The layout of a study."""

    tasks: int
    """Number of tasks."""
    models: int
    """Number of models."""
    arms: int
    """Number of arms."""
    trials: int
    """Configurations tried in each cell whose arm has a space: the same for all."""
    points: Mapping[str, int] = {}
    """Different points of each arm whose space has fewer than `trials`."""
    search_seeds: int
    """Runs of each trial."""
    finalists: int
    """Most finalists of each cell whose arm has a space."""
    finalist_seeds: int
    """Runs of each finalist."""
    confirm_seeds: int
    """Confirm runs of each cell."""
    workers: int
    """Runs at once."""


class RunCounts(Frozen):
    """Runs of all cells."""

    search: Count
    """Search runs."""
    finalists: Count
    """Runs of the finalists on fresh seeds."""
    confirm: Count
    """Confirm runs."""
    total: Count
    """All together."""


class TimeForecast(Frozen):
    """Time of the remaining runs."""

    seconds: Span | None
    """Wall seconds; null: unknown for at least one cell."""
    sources: tuple[Source, ...]
    """Their sources, over the cells with remaining runs."""
    based_on: int
    """Number of runs and probes behind them."""
    upper: bool
    """Whether the search may take less, as the pruner ends bad trials."""


class Estimate(Frozen):
    """The estimate of a study."""

    study: str
    """Name of the study."""
    layout: Layout
    """Its layout."""
    cells: tuple[CellForecast, ...]
    """Every cell, in the order of the study."""
    runs: RunCounts
    """Runs of all cells."""
    time: TimeForecast
    """Wall time of the remaining runs."""
    disk: DiskForecast
    """Growth of the store in bytes."""
    seeds: SeedsForecast
    """Seeds needed to detect a difference."""
    notes: tuple[str, ...]
    """Notes to the numbers."""
