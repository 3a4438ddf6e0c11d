"""Read a run's time, memory and score, which several tables need."""

from __future__ import annotations

import statistics

from tuner.report.planned import Trial
from tuner.store import RunRecord

TEST = "test/"
"""Begins the names of metrics on the test split."""
_TOLERANCE = 1e-9
"""Of accuracies, which are fractions of counts: float rounding and no more."""


def collapsed(run: RunRecord) -> bool:
    """Return whether a run is no more accurate than always naming the most frequent class."""
    accuracy, floor = (run.metrics.get(f"{TEST}{n}") for n in ("accuracy", "majority_accuracy"))
    return accuracy is not None and floor is not None and accuracy <= floor + _TOLERANCE


def train_peak(run: RunRecord) -> float | None:
    """Return the peak bytes of a run's training phase."""
    return run.metrics.get("memory/train/peak_bytes")


def seconds_of(run: RunRecord) -> float:
    """Return a run's wall seconds, all phases."""
    return sum(value for name, value in run.metrics.items() if name.startswith("seconds/"))


def seconds_spent(run: RunRecord) -> float:
    """Return a run's wall seconds; of one that was stopped, from its start to its end."""
    return seconds_of(run) or ((run.end or run.start) - run.start)


def trial_score(trial: Trial, metric: str) -> float | None:
    """Return a trial's validation score: mean over its runs, of a pruned one the last seen."""
    name = f"validation/{metric}"
    values = sorted(run.metrics[name] for run in trial.runs if name in run.metrics)
    return statistics.fmean(values) if values else None
