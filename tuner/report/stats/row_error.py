"""Estimate how much the mean difference of two arms would vary over samples of test rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy

from tuner.report.stats.arrays import Counts, Floats

_AT_ONCE = 4_000_000
"""Weights that are held at a time: 32 MB."""
_RESAMPLES = 1000
KNOWN_METRICS = ("accuracy", "micro_f1", "macro_f1")


def difference_row_error(
    truth: Counts,
    a: Sequence[Counts],
    b: Sequence[Counts],
    *,
    classes: int,
    metric: str,
) -> float:
    """Return the standard error of a mean difference over samples of test rows.

    The rows are resampled with replacement, the seeds are kept: each resample gives the mean over
    seeds of a's score - b's score on the same rows, so what both arms get wrong cancels out
    (Efron and Tibshirani 1993, chapter 6). For the accuracy the answer of infinitely many
    resamples is written down: the standard deviation of a row's mean difference, over sqrt(rows).

    Args:
        truth: Each row's class, of shape (rows,), as a number from 0.
        a: The predicted classes of each run of arm a, of shape (rows,) each.
        b: Those of arm b, seed by seed beside those of a.
        classes: Number of classes.
        metric: accuracy, micro_f1 (the same for one label a row), or macro_f1 over the classes
            that are present or predicted in the resample, as scikit-learn's.

    Raises:
        ValueError: Unknown metric, no rows, or unequal numbers of runs.
    """
    if metric not in KNOWN_METRICS:
        raise ValueError(f"metric: got {metric!r}; allowed: {', '.join(KNOWN_METRICS)}")
    if not len(truth) or not a or len(a) != len(b):
        raise ValueError(f"row error: got {len(truth)} rows, {len(a)} and {len(b)} runs")
    pairs = list(zip(a, b, strict=True))
    if metric != "macro_f1":
        gaps = [(one == truth) * 1.0 - (other == truth) for one, other in pairs]
        return float(numpy.mean(gaps, axis=0).std() / math.sqrt(len(truth)))
    generator = numpy.random.default_rng(0)
    even = numpy.full(len(truth), 1 / len(truth))
    rows = _one_hot(truth, classes)
    step = max(1, _AT_ONCE // len(truth))
    drawn = []
    for start in range(0, _RESAMPLES, step):
        size = min(step, _RESAMPLES - start)
        weights = generator.multinomial(len(truth), even, size=size).astype(numpy.float64)
        gaps = [
            _macro_f1(weights, rows, one) - _macro_f1(weights, rows, other) for one, other in pairs
        ]
        drawn.append(numpy.mean(gaps, axis=0))
    return float(numpy.concatenate(drawn).std(ddof=1))


def _macro_f1(weights: Floats, rows: Floats, guess: Counts) -> Floats:
    """Return the macro-F1 of one run on each resample, of shape (resamples,)."""
    guessed = _one_hot(guess, rows.shape[1])
    below = weights @ (rows + guessed)
    right = weights @ (guessed * rows)
    f1 = numpy.divide(2 * right, below, out=numpy.zeros_like(below), where=below > 0)
    found: Floats = f1.sum(axis=1) / (below > 0).sum(axis=1)
    return found


def _one_hot(numbers: Counts, classes: int) -> Floats:
    """Return an array of shape (rows, classes) with a 1 at each row's class."""
    return numpy.equal.outer(numbers, numpy.arange(classes)).astype(numpy.float64)
