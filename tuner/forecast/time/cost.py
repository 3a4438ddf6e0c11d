"""Work out the seconds of a cell's runs from earlier runs, similar runs, or a probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from tuner.config import Cell, Phase
from tuner.forecast.time.estimate import Source
from tuner.forecast.time.history import History
from tuner.forecast.time.midpoint import mean_epochs
from tuner.forecast.time.probe import Measured
from tuner.forecast.time.size import TaskSize
from tuner.tracking import RunRecord

RUN_OVERHEAD = 0.5
"""Seconds between runs: to ask for a point, start a process, write to MLflow and Optuna.
Measured in studies of MiniLM and of the tiny model on two cores: 0.3 to 1."""
_FORWARD_SHARE = 0.4
"""Cost of a row in an evaluation against a row in training, where none was seen. A forward pass
is a third of a training step whose backward pass reaches every weight, and about a half where
the weights are frozen; measured on MiniLM: 0.31 for full fine-tuning, 0.47 for LoRA."""
_PRIOR_SPREAD, _PRIOR_RUNS = 0.1, 4
"""Few runs say little of their spread: it is weighed against what is usual, a tenth, as if five
runs had shown that."""
EARLIER, SIMILAR, WHOLE_PROBE, PART_PROBE = 0.1, 0.5, 0.25, 0.4
"""Share of the seconds that the interval leaves on either side for what the numbers cannot show:
another load of the machine; another arm or setting; that one run, or a part of one, stands for
all."""


@dataclass(frozen=True)
class Sample:
    """Seconds of a run of one phase, as shares of the mean where it is not said otherwise."""

    mean: float
    """Seconds."""
    error: float
    """Standard error of the mean."""
    spread: float
    """Standard deviation between runs."""


@dataclass(frozen=True)
class CellCost:
    """What the runs of a cell cost."""

    search: Sample
    confirm: Sample
    source: Source
    based_on: int
    """Runs or probes."""
    allowance: float
    """Stated share on either side."""
    upper: bool
    """Whether pruning, which shortens the search, is not yet in the numbers."""
    degrees: int
    """Degrees of freedom of the spread; 0: no spread was seen."""


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


def cost_of_probe(cell: Cell, measured: Measured, size: TaskSize) -> CellCost:
    """Cost of a cell by its probe: load, steps of the mean number of epochs, evaluations.

    Where no evaluation was seen, a row of it is taken to cost 0.4 of a row in training.
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
        sample("search"), sample("confirm"), "probe", 1, allowance, upper=_prunes(cell), degrees=0
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
        _sample(confirm),
        source,
        len(finished) + (len(pruned) if source == "earlier runs" else 0),
        allowance,
        upper=upper,
        degrees=len(confirm) - 1,
    )


def run_seconds(run: RunRecord, phase: Phase, epochs: float | None = None) -> float:
    """Return what a finished run would have taken in a phase, which alone may score the test.

    Args:
        run: The run.
        phase: The phase.
        epochs: Trained for so many; by default as many as it was.
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


def _sample(seconds: Sequence[float]) -> Sample:
    mean = fmean(seconds)
    squares = sum((value / mean - 1) ** 2 for value in seconds)
    freedom = _PRIOR_RUNS + len(seconds) - 1
    spread = float((_PRIOR_RUNS * _PRIOR_SPREAD**2 + squares) / freedom) ** 0.5
    return Sample(mean, spread / len(seconds) ** 0.5, spread)


def _prunes(cell: Cell) -> bool:
    return cell.searched and cell.study.search.pruner.kind != "none"
