"""Tabulate runs, a row each, and trials, a row each."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tuner.report.columns import RUNS, TRIALS
from tuner.report.planned import Trial
from tuner.report.selection import Block, ComparedCell
from tuner.report.tables.cells import seconds_of, train_peak
from tuner.report.tables.frame import typed
from tuner.store import RunRecord

if TYPE_CHECKING:
    import pandas

_SEARCHABLE = ("method.", "train.")


def runs_frame(blocks: Sequence[Block]) -> pandas.DataFrame:
    """Tabulate the confirm runs; curves of training are left out."""
    rows = [_run_row(cell, run) for b in blocks for cell in b.cells for run in cell.runs]
    return typed(rows, RUNS)


def trials_frame(blocks: Sequence[Block], *, metric: str) -> pandas.DataFrame:
    """Tabulate the search of every cell, with the fields that some search varies."""
    cells = [cell for block in blocks for cell in block.cells]
    rows = [row for cell in cells for row in _trial_rows(cell, metric)]
    return typed(rows, TRIALS)


def trial_score(trial: Trial, metric: str) -> float | None:
    """Return a trial's validation score: mean over its runs, of a pruned one the last seen."""
    name = f"validation/{metric}"
    values = sorted(run.metrics[name] for run in trial.runs if name in run.metrics)
    return statistics.fmean(values) if values else None


def _run_row(cell: ComparedCell, run: RunRecord) -> dict[str, Any]:
    seeds = run.seeds
    row: dict[str, Any] = {
        "study": cell.study,
        "task": cell.task,
        "model": cell.model,
        "arm": cell.arm,
        "state": run.state,
        "reason": run.reason,
        "init_seed": seeds.init,
        "order_seed": seeds.order,
        "data_seed": seeds.data,
        "precision": run.facts.get("precision"),
        "device": run.facts.get("gpu", run.facts.get("cpu")),
        **_accuracy_interval(run),
        "digest": run.digest,
        "parent_run_id": run.parent_id,
        "run_id": run.run_id,
    }
    return row | {k: v for k, v in run.metrics.items() if not k.startswith("train/")}


def _accuracy_interval(run: RunRecord) -> dict[str, float]:
    """Return the binomial interval of a run's accuracy over its test rows."""
    from tuner.report.stats import binomial_interval

    accuracy, rows = run.metrics.get("test/accuracy"), int(run.facts.get("rows.test", 0))
    if accuracy is None or rows < 1:
        return {}
    interval = binomial_interval(round(accuracy * rows), rows)
    return {"accuracy_low": interval.low, "accuracy_high": interval.high}


def _trial_rows(cell: ComparedCell, metric: str) -> list[dict[str, Any]]:
    varied = _varied(cell.trials)
    return [
        {
            "study": cell.study,
            "task": cell.task,
            "model": cell.model,
            "arm": cell.arm,
            "trial": trial.number,
            "state": trial.state,
            "reason": trial.reason,
            "chosen": trial.number == cell.search.chosen,
            "metric": metric,
            "score": trial_score(trial, metric),
            "seconds": sum(sorted(map(seconds_spent, trial.runs))),
            "seeds": len(trial.runs),
            "peak_memory_bytes": max(filter(None, map(train_peak, trial.runs)), default=None),
            "parent_run_id": trial.runs[0].parent_id,
            "run_ids": " ".join(run.run_id for run in trial.runs),
        }
        | {name: _value(trial.runs[0].params[name]) for name in varied}
        for trial in cell.trials
    ]


def seconds_spent(run: RunRecord) -> float:
    """Return a run's wall seconds; of one that was stopped, from its start to its end."""
    return seconds_of(run) or ((run.end or run.start) - run.start)


def _varied(trials: Sequence[Trial]) -> list[str]:
    """Return the params in which a cell's trials differ: what its search varied."""
    params = [trial.runs[0].params for trial in trials]
    names = {name for row in params for name in row if name.startswith(_SEARCHABLE)}
    return sorted(
        name
        for name in names
        if len({row.get(name) for row in params}) > 1 and all(name in row for row in params)
    )


def _value(text: str) -> float | str:
    """Return a number where the text is one."""
    try:
        return float(text)
    except ValueError:
        return text
