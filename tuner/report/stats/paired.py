"""Compare two arms seed by seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy

from tuner.report.stats.arrays import Floats, Values, floats
from tuner.report.stats.interval import Interval, mean_interval, mean_of, std_of
from tuner.report.stats.power import seeds_needed
from tuner.report.stats.sign_flip import least_sign_flip_p, sign_flip_p

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
    ci_low: float
    """Lower end of the interval of the mean difference, at confidence 1 - level."""
    ci_high: float
    p: float
    """Two-sided sign-flip p, not corrected for other comparisons."""
    least_p: float
    """Smallest p that n pairs can give."""
    probability_a_better: float
    """Share of pairs in which a is better; a tie counts half."""
    probability_low: float
    """Lower end of its exact interval, at confidence 1 - level."""
    probability_high: float
    cohens_d: float
    """Mean difference in standard deviations of the differences (d_z); NaN if these are 0."""
    further_seeds: int | None
    """Seeds to add for 80% power if mean and spread stay the same; 0 exactly where the level is
    reached; None: no difference, no spread, or 1,000 seeds would not do."""


def compare_pairs(
    a: Values,
    b: Values,
    *,
    higher_is_better: bool = True,
    level: float = 0.05,
    comparisons: int = 1,
) -> PairedComparison:
    """Compare two arms on the same seeds. The order of the seeds changes nothing.

    P(A>B) has the interval of Clopper and Pearson (1934), by the beta distribution. It is exact
    as the sign-flip test is: with five wins of five it still holds 1/2, as p = .0625 demands,
    where the intervals that rest on a normal limit do not.

    Args:
        a: Scores of the first arm, of shape (n,), n at least 1.
        b: Scores of the second, seed by seed beside those of the first.
        higher_is_better: False for a loss.
        level: Two-sided level; the intervals are at confidence 1 - level.
        comparisons: Size of the family. `further_seeds` aims at level / comparisons; p and the
            intervals are not corrected.

    Raises:
        ValueError: The arms have unequal numbers of scores, or none.
    """
    first, second = floats(a), floats(b)
    if first.shape != second.shape or not len(first):
        raise ValueError(f"pairs: got {len(first)} and {len(second)} scores; each seed needs both")
    rounding = _ROUNDING * float(numpy.abs([first, second]).max())
    differences = _rounded(first - second, rounding)
    n = len(differences)
    mean, std = mean_of(differences), std_of(differences)
    std = 0.0 if std <= rounding else std
    interval = mean_interval(differences, 1 - level)
    p = sign_flip_p(differences)
    wins = _wins(differences, higher_is_better=higher_is_better)
    probability = _clopper_pearson(wins, n, level)
    effect = mean / std if std else math.nan
    return PairedComparison(
        n=n,
        mean_difference=mean,
        std_difference=std,
        ci_low=interval.low,
        ci_high=interval.high,
        p=p,
        least_p=least_sign_flip_p(n),
        probability_a_better=wins / n,
        probability_low=probability.low,
        probability_high=probability.high,
        cohens_d=effect,
        further_seeds=_further_seeds(effect, p, n=n, level=level / comparisons),
    )


def holm(p_values: Values) -> Floats:
    """Return the p values of a family after Holm's correction, in the order given.

    Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal
    of Statistics 6:65.

    Args:
        p_values: Of shape (m,); m may be 0.
    """
    found = floats(p_values)
    order = numpy.argsort(found, kind="stable")
    # Written out, as statsmodels collects all garbage at each call, and takes a second to load.
    steps = found[order] * numpy.arange(len(found), 0, -1)
    corrected = numpy.empty_like(found)
    corrected[order] = numpy.minimum(1.0, numpy.maximum.accumulate(steps))
    return corrected


def _rounded(differences: Floats, rounding: float) -> list[float]:
    return [0.0 if abs(value) <= rounding else value for value in differences.tolist()]


def _wins(differences: list[float], *, higher_is_better: bool) -> float:
    better = 1 if higher_is_better else -1
    return sum(0.5 if not value else float(value * better > 0) for value in differences)


@lru_cache(maxsize=1024)  # a report has thousands of pairs, and few different counts
def _clopper_pearson(wins: float, n: int, level: float) -> Interval:
    from scipy.special import betaincinv

    low = betaincinv(wins, n - wins + 1, level / 2) if wins > 0 else 0.0
    high = betaincinv(wins + 1, n - wins, 1 - level / 2) if wins < n else 1.0
    return Interval(float(low), float(high))


def _further_seeds(effect: float, p: float, *, n: int, level: float) -> int | None:
    if p <= level:
        return 0
    needed = seeds_needed(effect, level=level, least=n + 1)
    return None if needed is None else needed - n
