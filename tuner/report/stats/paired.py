"""Compare two arms seed by seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy

from tuner.report.stats.arrays import Values, floats
from tuner.report.stats.interval import Interval, mean_of, std_of

_ROUNDING = 8 * float(numpy.finfo(numpy.float64).eps)
"""Differences below this share of the largest score are rounding errors."""


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Arm a against arm b over shared seeds. A number that n does not allow is NaN."""

    n: int
    """Pairs."""
    mean_difference: float
    """Mean of a - b, in the unit of the scores, whichever way is better."""
    std_difference: float
    """Standard deviation of the differences (n - 1)."""
    probability_a_better: float
    """Share of pairs in which a is better; a tie counts half."""
    probability_low: float
    """Lower end of its exact 95% interval."""
    probability_high: float
    cohens_d: float
    """Mean difference in standard deviations of the differences (d_z); NaN if these are 0."""


def compare_pairs(a: Values, b: Values, *, higher_is_better: bool = True) -> PairedComparison:
    """Compare two arms on the same seeds. The order of the seeds changes nothing.

    P(A>B) has the interval of Clopper and Pearson (1934), by the beta distribution. It is exact
    as the sign-flip test is: with five wins of five it still holds 1/2, as p = .0625 demands,
    where the intervals that rest on a normal limit do not.

    Args:
        a: Scores of the first arm, of shape (n,), n at least 1.
        b: Scores of the second, seed by seed beside those of the first.
        higher_is_better: False for a loss.

    Raises:
        ValueError: The arms have unequal numbers of scores, or none.
    """
    differences = paired_differences(a, b)
    n = len(differences)
    mean, std = mean_of(differences), std_of(differences)
    std = 0.0 if std <= _rounding(a, b) else std
    wins = _wins(differences, higher_is_better=higher_is_better)
    probability = _clopper_pearson(wins, n)
    return PairedComparison(
        n=n,
        mean_difference=mean,
        std_difference=std,
        probability_a_better=wins / n,
        probability_low=probability.low,
        probability_high=probability.high,
        cohens_d=mean / std if std else math.nan,
    )


def paired_differences(a: Values, b: Values) -> list[float]:
    """Return a - b on each seed; 0 where the scores are equal but for rounding.

    Args:
        a: Scores of the first arm, of shape (n,), n at least 1.
        b: Scores of the second, seed by seed beside those of the first.

    Raises:
        ValueError: The arms have unequal numbers of scores, or none.
    """
    first, second = floats(a), floats(b)
    if first.shape != second.shape or not len(first):
        raise ValueError(f"pairs: got {len(first)} and {len(second)} scores; each seed needs both")
    rounding = _rounding(a, b)
    return [0.0 if abs(value) <= rounding else value for value in (first - second).tolist()]


def _rounding(a: Values, b: Values) -> float:
    return _ROUNDING * float(numpy.abs([floats(a), floats(b)]).max())


def _wins(differences: list[float], *, higher_is_better: bool) -> float:
    better = 1 if higher_is_better else -1
    return sum(0.5 if not value else float(value * better > 0) for value in differences)


@lru_cache(maxsize=1024)  # a report has thousands of pairs, and few different counts
def _clopper_pearson(wins: float, n: int) -> Interval:
    from scipy.special import betaincinv

    low = betaincinv(wins, n - wins + 1, 0.025) if wins > 0 else 0.0
    high = betaincinv(wins + 1, n - wins, 0.975) if wins < n else 1.0
    return Interval(float(low), float(high))
