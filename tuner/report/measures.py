"""Read a run's time, memory and score, which several tables need."""

from __future__ import annotations

import math
import statistics

from tuner.report.confusion import Confusion
from tuner.report.searches import Trial
from tuner.store import RunRecord

TEST = "test/"
"""Begins the names of metrics on the test split."""
EPOCHS = "epochs"
"""Metric: epochs that a run trained, whether it finished or was stopped."""
_TOLERANCE = 1e-9
"""Of accuracies, which are fractions of counts: float rounding and no more."""
_ONE_CLASS = 0.99
"""A larger share of predictions of one class is a collapse, whatever the accuracy."""


def collapsed(run: RunRecord, confusion: Confusion | None = None) -> bool:
    """Return whether a run has learnt nothing that can be told from always naming one class.

    Its accuracy is at most that of the most frequent class plus two of its standard errors, or
    more than 99% of its predictions are of one class.

    Args:
        run: A finished confirm run.
        confusion: Its predictions, where they are at hand.
    """
    if confusion is not None and confusion.largest_share > _ONE_CLASS:
        return True
    accuracy, floor = (run.metrics.get(f"{TEST}{n}") for n in ("accuracy", "majority_accuracy"))
    if accuracy is None or floor is None:
        return False
    rows = int(run.facts.get("rows.test", 0))
    error = math.sqrt(floor * (1 - floor) / rows) if rows else 0.0
    return accuracy <= floor + 2 * error + _TOLERANCE


def best_at_last_epoch(run: RunRecord) -> bool | None:
    """Return whether a run's best epoch was its last: it might have gone on to improve.

    None where that is not known: one epoch alone, or the last one is kept whatever its score.
    """
    trained, kept = run.metrics.get(EPOCHS), run.metrics.get("epoch")
    if run.params.get("train.keep", "best") != "best" or trained is None or kept is None:
        return None
    return kept >= trained if trained > 1 else None


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
