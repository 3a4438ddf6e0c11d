"""What `tuner plan` foretells of a study. `--json` prints an Estimate, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from trainers.plugins import Frozen

Source = Literal["earlier runs", "similar runs", "probe"]
"""earlier runs: of the same cells; similar runs: of the same task and model; probe: measured."""


class Count(Frozen):
    """Runs of one phase."""

    planned: int
    """All that the study may do; a pruned trial may do fewer of its seeds."""
    done: int
    """Those that the store has already, and that are not done again."""
    left: int
    """Those still to be done."""


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
    confirm: Count
    """Confirm runs."""
    search_run_seconds: float | None
    """Wall seconds of one search run; null: unknown, or the arm is not searched."""
    confirm_run_seconds: float | None
    """Wall seconds of one confirm run; null: unknown."""
    source: Source | None
    """Where the seconds come from; null: unknown."""
    based_on: int
    """Runs that the seconds rest on; 1 for a probe."""


class DiskForecast(Frozen):
    """Bytes that the runs still to be done add to the store; all of them rough."""

    run_folders_bytes: int
    """Journals, specs and predictions under `runs/`."""
    artifacts_bytes: int
    """In MLflow: copies of specs and predictions, each configuration's study, the report."""
    databases_bytes: int
    """Growth of MLflow's and Optuna's databases."""
    cache_bytes: int
    """Tokenised data, once for each task and model."""
    models_bytes: int | None
    """Trained models that `save` keeps, in the run's folder and in MLflow; null: their sizes are
    not known before a run has finished."""
    total_bytes: int
    """Sum of what is known."""
    measured: bool
    """Whether the sizes of files come from runs in the store, or from the number of rows."""


class PairSpread(Frozen):
    """Two arms, and how their difference varies over seeds."""

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
    """Pairs of arms that the spread is known of."""
    largest: PairSpread
    """The pair that varies most."""
    median: PairSpread
    """The pair in the middle; of two, the one that varies more."""


class SeedsForecast(Frozen):
    """Seeds that a comparison needs."""

    metric: str
    """Metric that arms are compared by."""
    difference: float
    """Difference to be detected, in the metric's unit."""
    level: float
    """Chance of an error of the first kind over all comparisons."""
    power: float
    """Chance to detect a true difference of this size."""
    comparisons: int
    """Pairs of arms in the study; the level is shared among them."""
    planned: int
    """Confirm seeds of the study."""
    source: Literal["confirm runs", "search runs"] | None
    """Where the spread was seen; null: nowhere yet."""
    blocks: tuple[BlockSpread, ...]
    """What was seen, by task and model."""
    given_std: float | None
    """Standard deviation of one arm over seeds, as the user gave it."""
    given_seeds: int | None
    """Seeds needed if two arms vary so, independently of each other; null: not given, or more
    than 1,000."""


class Layout(Frozen):
    """How a study is laid out."""

    tasks: int
    """Number of tasks."""
    models: int
    """Number of models."""
    arms: int
    """Number of arms."""
    trials: int
    """Configurations tried in each cell whose arm has a space: the same for all."""
    points: Mapping[str, int] = {}
    """Different points of each arm whose space has fewer than that."""
    search_seeds: int
    """Runs of each trial."""
    confirm_seeds: int
    """Confirm runs of each cell."""
    workers: int
    """Runs at once."""


class RunCounts(Frozen):
    """Runs of all cells."""

    search: Count
    """Search runs."""
    confirm: Count
    """Confirm runs."""
    total: Count
    """Both together."""


class TimeForecast(Frozen):
    """Time that what is left will take."""

    seconds: Span | None
    """Wall seconds; null: unknown, for some cell at least."""
    sources: tuple[Source, ...]
    """Where they come from, over the cells with something left."""
    based_on: int
    """Runs and probes that they rest on."""
    upper: bool
    """Whether the search may take less, as the pruner ends bad trials."""


class Estimate(Frozen):
    """What a study will take."""

    study: str
    """Name of the study."""
    layout: Layout
    """How it is laid out."""
    cells: tuple[CellForecast, ...]
    """Every cell, in the order of the study."""
    runs: RunCounts
    """Runs of all cells."""
    time: TimeForecast
    """Wall time of what is left."""
    disk: DiskForecast
    """Bytes that the store grows by."""
    seeds: SeedsForecast
    """Seeds that a difference needs."""
    notes: tuple[str, ...]
    """What must be known to read the numbers."""
