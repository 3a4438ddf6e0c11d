"""Estimate how much one run's score would vary if the test rows were drawn anew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy

from tuner.report.stats.arrays import Counts, Floats, Values
from tuner.report.stats.interval import Interval

NoiseMetric = Literal["accuracy", "micro_f1", "macro_f1", "f1"]
_METRICS = ("accuracy", "micro_f1", "macro_f1", "f1")


@dataclass(frozen=True, slots=True)
class Noise:
    """How a metric spreads over samples of test rows, as a fraction."""

    std: float
    """Standard deviation over the resamples."""
    low: float
    """Lower end of the 95% percentile interval."""
    high: float


def binomial_interval(correct: int, total: int, *, confidence: float = 0.95) -> Interval:
    """Return the interval of an accuracy (Wilson 1927, JASA 22:209).

    Args:
        correct: Rows predicted rightly.
        total: All rows, at least 1.
        confidence: Share of samples whose interval is to hold the true accuracy.
    """
    from scipy.special import ndtri

    z, share = float(ndtri((1 + confidence) / 2)), correct / total
    middle = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = math.sqrt(share * (1 - share) / total + (z / (2 * total)) ** 2) * z / (1 + z**2 / total)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def binomial_std(accuracy: float, total: int) -> float:
    """Return the standard error of an accuracy over so many rows: sqrt(p (1 - p) / n)."""
    return math.sqrt(accuracy * (1 - accuracy) / total)


def confusion_counts(
    truth: Sequence[object], predictions: Sequence[object], labels: Sequence[object]
) -> Counts:
    """Count how often each class was predicted as which.

    Args:
        truth: Each row's class.
        predictions: Each row's predicted class.
        labels: All classes.

    Returns:
        Of shape (labels, labels): true class by predicted class, in the order of `labels`.

    Raises:
        ValueError: A class that is no label, or unequal numbers of rows.
    """
    number = {label: index for index, label in enumerate(labels)}
    counts = numpy.zeros((len(number), len(number)), dtype=numpy.int64)
    for true, predicted in zip(truth, predictions, strict=True):
        for label in (true, predicted):
            if label not in number:
                raise ValueError(f"label: got {label!r}; allowed: {list(labels)}")
        counts[number[true], number[predicted]] += 1
    return counts


def bootstrap_noise(
    confusion: Values,
    metric: str,
    *,
    label: int | None = None,
    resamples: int = 1000,
    seed: int,
) -> Noise:
    """Resample the test rows with replacement, and return the spread of a metric.

    To resample rows is to draw their confusion matrix from a multinomial law. Of it, the metrics
    need less than every count: F1 of class k is 2 d / (2 d + e), d the rows of k predicted
    rightly, e those of k missed and those of others taken for k. So only as many counts are drawn
    as the metric needs, under the same law. Efron and Tibshirani (1993), chapter 6.

    Args:
        confusion: Of shape (K, K), true class by predicted class; no matter which way round.
        metric: accuracy, micro_f1 (the same for one label a row), macro_f1 over the classes that
            are present or predicted in the resample, as scikit-learn's, or f1 of one class, which
            is 0 where the class is neither.
        label: The class of f1, by its place.
        resamples: How many; the error of the standard deviation is about std / sqrt(2 resamples).
        seed: Of the draws.

    Raises:
        ValueError: Unknown metric, f1 without a label, or a matrix without rows.
    """
    counts = numpy.asarray(confusion, dtype=numpy.int64)
    if not counts.sum():
        raise ValueError("confusion: no rows")
    if metric not in _METRICS or (metric == "f1") != (label is not None):
        allowed = ", ".join(_METRICS)
        raise ValueError(f"metric: got {metric!r} with label {label}; allowed: {allowed} + label")
    generator = numpy.random.default_rng(seed)
    if metric == "macro_f1":
        drawn = _macro_f1(counts, generator, resamples)
    elif metric == "f1":
        drawn = _one_f1(counts, int(label or 0), generator=generator, resamples=resamples)
    else:
        drawn = _accuracy(counts, generator, resamples)
    low, high = numpy.quantile(drawn, (0.025, 0.975))
    std = float(drawn.std(ddof=1)) if resamples > 1 else math.nan
    return Noise(std=std, low=float(low), high=float(high))


def _accuracy(counts: Counts, generator: numpy.random.Generator, resamples: int) -> Floats:
    right, total = int(numpy.trace(counts)), int(counts.sum())
    return generator.binomial(total, right / total, size=resamples) / total


def _one_f1(
    counts: Counts, label: int, *, generator: numpy.random.Generator, resamples: int
) -> Floats:
    right = int(counts[label, label])
    wrong = int(counts[label].sum() + counts[:, label].sum()) - 2 * right
    total = int(counts.sum())
    shares = [right / total, wrong / total, (total - right - wrong) / total]
    drawn = generator.multinomial(total, shares, size=resamples)
    return _f1(drawn[:, 0], drawn[:, 1])


def _macro_f1(counts: Counts, generator: numpy.random.Generator, resamples: int) -> Floats:
    """Draw the diagonal, and of the rest each pair of classes: i for j and j for i weigh alike."""
    size = len(counts)
    first, second = numpy.triu_indices(size, k=1)
    pairs = counts[first, second] + counts[second, first]
    cells = numpy.concatenate([numpy.diagonal(counts), pairs])
    used = cells > 0
    drawn = numpy.zeros((resamples, len(cells)), dtype=numpy.int64)
    shares = cells[used] / cells.sum()
    drawn[:, used] = generator.multinomial(int(cells.sum()), shares, size=resamples)
    touches = numpy.zeros((len(pairs), size))
    touches[numpy.arange(len(pairs)), first] = touches[numpy.arange(len(pairs)), second] = 1
    right, wrong = drawn[:, :size], drawn[:, size:] @ touches
    counted = (right + wrong > 0).sum(axis=1)  # at least one: a resample has rows
    macro: Floats = _f1(right, wrong).sum(axis=1) / counted
    return macro


def _f1(right: Values, wrong: Values) -> Floats:
    """Return 2 d / (2 d + e); 0 for a class that no row has and none is predicted as."""
    twice = 2.0 * numpy.asarray(right)
    below = twice + numpy.asarray(wrong)
    found: Floats = numpy.divide(twice, below, out=numpy.zeros_like(below), where=below > 0)
    return found
