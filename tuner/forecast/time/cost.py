"""Estimate the seconds of a cell's runs from earlier runs or a probe, and add up a study's."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from tuner.config import Cell, Phase
from tuner.forecast.time.forecasts import Source, Span
from tuner.forecast.time.history import CellProgress, History
from tuner.forecast.time.probe import ProbeResult
from tuner.forecast.time.run_size import TaskSize, mean_epochs
from tuner.store import RunRecord

RUN_OVERHEAD = 0.5
"""Seconds between runs: to sample a point, start a process, write to MLflow and Optuna.
Measured in studies of MiniLM and of the tiny model on two cores: 0.3 to 1."""
_FORWARD_SHARE = 0.4
"""Cost of a row in an evaluation relative to one in training, if not measured. A forward pass
is a third of a training step whose backward pass reaches every weight, and about half where
the weights are frozen; measured on MiniLM: 0.31 for full fine-tuning, 0.47 for LoRA."""
_PRIOR_SPREAD, _PRIOR_RUNS = 0.1, 4
"""Few runs tell little about their spread: it is combined with the usual one, a tenth, which
counts like five runs."""
EARLIER, SIMILAR, WHOLE_PROBE, PART_PROBE = 0.1, 0.5, 0.25, 0.4
"""Share of the seconds that the interval allows on either side for errors that the numbers do not
show: another load of the machine; another arm or setting; one run, or a part of it, as a sample
of all."""
LAUNCH_SECONDS = 4.0
"""Seconds of `tuner run-study` before its executor begins: Python, MLflow, a new database.
Measured on two idle cores: 3 to 5."""
START_SECONDS = 10.0
"""The same until the first run begins, with the import of torch, if no probe measured it."""
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Sample:
    """Seconds of a run of one phase; errors are shares of the mean."""

    mean: float
    """Seconds."""
    error: float
    """Standard error of the mean."""
    spread: float
    """Standard deviation between runs."""


@dataclass(frozen=True)
class CellCost:
    """The cost of the runs of a cell."""

    search: Sample
    finalists: Sample
    confirm: Sample
    source: Source
    based_on: int
    """Number of runs or probes."""
    allowance: float
    """Allowed share on either side."""
    upper: bool
    """Whether the numbers do not yet include pruning, which shortens the search."""
    degrees: int
    """Degrees of freedom of the spread; 0: no spread was measured."""


@dataclass(frozen=True)
class Work:
    """The remaining runs of a cell, and their cost."""

    progress: CellProgress
    cost: CellCost

    @property
    def seconds(self) -> float:
        """Seconds of all its runs, one after the other."""
        left, cost = self.progress, self.cost
        return (
            left.search.left * cost.search.mean
            + left.finalists.left * cost.finalists.mean
            + left.confirm.left * cost.confirm.mean
        )


def cost_of_earlier(cell: Cell, history: History) -> CellCost | None:
    """Cost of a cell by its own earlier runs; None where there are none."""
    same = [
        run for run in (*history.runs, *history.others) if run.group.cell == cell.fingerprint()
    ]
    return _cost(cell, same, EARLIER, source="earlier runs")


def cost_of_similar(cell: Cell, history: History) -> CellCost | None:
    """Cost of a cell by runs of the same task and model, scaled to its epochs; rough."""
    near = [
        run
        for run in (*history.runs, *history.others)
        if (run.group.task, run.group.model) == (cell.task, cell.model)
    ]
    epochs = mean_epochs(cell)
    cost = _cost(cell, near, SIMILAR, source="similar runs", epochs=epochs)
    return None if cost is None else replace(cost, upper=_prunes(cell))


def cost_of_probe(cell: Cell, measured: ProbeResult, size: TaskSize) -> CellCost:
    """Cost of a cell by its probe: load, steps of the mean number of epochs, evaluations.

    If no evaluation was measured, a row of it is assumed to cost 0.4 of a row in training.
    """
    epochs = mean_epochs(cell)
    spec = cell.spec(cell.study.confirm.seeds[0])
    steps = size.steps(spec) / spec.train.epochs
    row = measured.step * steps / size.train
    evaluation = measured.evaluation
    row = _FORWARD_SHARE * row if evaluation is None else evaluation / size.validation

    def sample(phase: Phase) -> Sample:
        rows = epochs * size.validation + (size.test if phase == "confirm" else 0)
        train = measured.step * steps * epochs
        mean = measured.load + train + row * rows + RUN_OVERHEAD
        return Sample(mean, measured.step_error * train / mean, 0.0)

    allowance = WHOLE_PROBE if measured.whole else PART_PROBE
    return CellCost(
        sample("search"),
        sample("finalists"),
        sample("confirm"),
        "probe",
        1,
        allowance,
        upper=_prunes(cell),
        degrees=0,
    )


def _cost(
    cell: Cell,
    runs: Sequence[RunRecord],
    allowance: float,
    *,
    source: Source,
    epochs: float | None = None,
) -> CellCost | None:
    finished = [run for run in runs if run.state == "finished" and "seconds/train" in run.metrics]
    if not finished:
        return None
    confirm = [run_seconds(run, "confirm", epochs) for run in finished]
    search = [run_seconds(run, "search", epochs) for run in finished]
    finalists = _sample(search)
    searched = [run for run in finished if run.group.phase == "search"]
    whole = fmean(search)
    pruned = [
        min(whole, run.end - run.start + RUN_OVERHEAD)
        for run in runs
        if run.state == "pruned" and run.end is not None
    ]
    upper = _prunes(cell) and not pruned
    if pruned and source == "earlier runs":
        search = [run_seconds(run, "search", epochs) for run in searched] + pruned
    return CellCost(
        _sample(search),
        finalists,
        _sample(confirm),
        source,
        len(finished) + (len(pruned) if source == "earlier runs" else 0),
        allowance,
        upper=upper,
        degrees=len(confirm) - 1,
    )


def run_seconds(run: RunRecord, phase: Phase, epochs: float | None = None) -> float:
    """Return the seconds that a finished run would take in a phase; only confirm scores test.

    Args:
        run: The run.
        phase: The phase.
        epochs: Number of epochs; by default the run's own.
    """
    load, train, evaluation = (
        run.metrics.get(f"seconds/{name}", 0.0) for name in ("load", "train", "eval")
    )
    of_run = float(run.params.get("train.epochs", "1"))
    wanted = of_run if epochs is None else epochs
    validation = int(run.facts.get("rows.validation", "0"))
    test = int(run.facts.get("rows.test", "0"))
    had = of_run * validation + (test if run.group.phase == "confirm" else 0)
    wants = wanted * validation + (test if phase == "confirm" else 0)
    evaluation *= wants / had if had else 1.0
    return load + train * wanted / of_run + evaluation + RUN_OVERHEAD


def total_seconds(work: Sequence[Work], *, cells: int, workers: int, start: float) -> Span:
    """Return the wall seconds of a study's remaining runs.

    Cells are begun in their order by the workers, as in `run_study`. The interval is
    that of the sum over remaining runs: the error of each cell's mean, the spread of single
    runs about it, and an allowance, which is assumed to change all cells in the same direction.

    Args:
        work: The cells with remaining runs, in the study's order.
        cells: Number of all cells of the study.
        workers: Runs at once.
        start: Seconds before the first run.
    """
    whole = sum(cell.seconds for cell in work)
    if not whole:
        return Span(likely=0.0, low=0.0, high=0.0)
    wall = _wall_seconds(work, at_once=min(workers, cells), workers=workers)
    variance = sum(map(_variance, work))
    allowance = sum(cell.cost.allowance * cell.seconds for cell in work)
    half = math.hypot(_quantile(work) * math.sqrt(variance), allowance) / whole
    return Span(
        likely=start + wall,
        low=start + wall * max(0.0, 1 - half),
        high=start + wall * (1 + half),
    )


def _wall_seconds(work: Sequence[Work], *, at_once: int, workers: int) -> float:
    within = workers // at_once
    free = [0.0] * at_once
    for cell in work:
        left, cost = cell.progress, cell.cost
        taken = math.ceil(left.search.left / within) * cost.search.mean
        taken += math.ceil(left.finalists.left / within) * cost.finalists.mean
        taken += math.ceil(left.confirm.left / within) * cost.confirm.mean
        heapq.heappush(free, heapq.heappop(free) + taken)
    return max(free)


def _variance(cell: Work) -> float:
    cost, left = cell.cost, cell.progress
    phases = (
        (left.search.left, cost.search),
        (left.finalists.left, cost.finalists),
        (left.confirm.left, cost.confirm),
    )
    # The means of all phases come from the same runs: their errors go together.
    of_means = sum(count * sample.mean * sample.error for count, sample in phases)
    of_runs = sum(count * (sample.mean * sample.spread) ** 2 for count, sample in phases)
    return of_means**2 + of_runs


def _quantile(work: Sequence[Work]) -> float:
    """Return Student's t for the runs of the spread and the five of the usual one."""
    from scipy.stats import t

    freedom = 4 + sum(cell.cost.degrees for cell in work if cell.seconds)
    return float(t.ppf((1 + _CONFIDENCE) / 2, freedom))


def _sample(seconds: Sequence[float]) -> Sample:
    mean = fmean(seconds)
    squares = sum((value / mean - 1) ** 2 for value in seconds)
    freedom = _PRIOR_RUNS + len(seconds) - 1
    spread = float((_PRIOR_RUNS * _PRIOR_SPREAD**2 + squares) / freedom) ** 0.5
    return Sample(mean, spread / len(seconds) ** 0.5, spread)


def _prunes(cell: Cell) -> bool:
    return cell.searched and cell.study.search.pruner.kind != "none"
