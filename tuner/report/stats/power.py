"""Estimate how many seeds a difference needs."""

from __future__ import annotations

import math
from statistics import NormalDist

MOST_SEEDS = 1000
"""Where more would be needed, the answer is None: nobody trains so many."""
_NORMAL = NormalDist()
_CERTAIN = 30.0
"""Noncentrality from which on the power is 1 to ten digits and scipy's series may fail."""


def paired_power(effect: float, n: int, *, level: float = 0.05) -> float:
    """Return the power of the two-sided t test of n paired differences.

    One minus the noncentral t distribution at the critical value (Cohen 1988, Statistical Power
    Analysis). The tail on the wrong side is left out: it adds under 1e-5 where the power is .8.

    Args:
        effect: Size of the mean difference, in standard deviations of the differences.
        n: Number of pairs, at least 2.
        level: Two-sided level of the test.
    """
    from scipy.special import nctdtr, stdtrit

    noncentrality = min(effect * math.sqrt(n), _CERTAIN)
    return float(1 - nctdtr(n - 1, noncentrality, -stdtrit(n - 1, level / 2)))


def sign_flip_power(effect: float, n: int, *, level: float = 0.05) -> float:
    """Return about the power of the two-sided sign-flip test of n paired differences.

    Of the 2^n flips, those of the k largest sums reject on each side, k = level 2^n / 2 rounded
    down. With k = 1 all differences must have one sign, with k = 2 the smallest may have the
    other: for normal differences both have a probability that can be written down. With more, it
    is the t test's power at the level that is reached, k / 2^(n-1), which lies up to .02 above
    what is simulated (docs/coverage.md). It grows with n, since that level never falls.

    Args:
        effect: Size of the mean difference, in standard deviations of the differences.
        n: Number of pairs, at least 2.
        level: Two-sided level of the test.
    """
    rejecting = _rejecting_flips(n, level)
    if rejecting < 1:
        return 0.0
    if rejecting <= 2:
        one_sign = _NORMAL.cdf(effect) ** n
        return one_sign + _all_but_the_smallest(effect, n) * (rejecting - 1)
    return paired_power(effect, n, level=min(level, math.ldexp(rejecting, 1 - n)))


def seeds_needed(
    effect: float, *, level: float = 0.05, power: float = 0.8, least: int = 2
) -> int | None:
    """Return the smallest number of seeds, from `least` on, whose sign-flip test has the power.

    Args:
        effect: Cohen's d of the pairs, of either sign.
        level: Two-sided level, after any correction.
        power: Wanted probability of a p at or under the level.
        least: Where to begin.

    Returns:
        None if the effect is 0 or NaN, or more than 1,000 seeds would be needed.
    """
    size = abs(effect)
    if not size > 0:
        return None
    low = max(least, 2)
    if low > MOST_SEEDS or sign_flip_power(size, MOST_SEEDS, level=level) < power:
        return None
    high = MOST_SEEDS
    while low < high:  # the power grows with n
        middle = (low + high) // 2
        if sign_flip_power(size, middle, level=level) >= power:
            high = middle
        else:
            low = middle + 1
    return high


def seeds_to_detect(
    std_difference: float,
    difference: float,
    *,
    level: float = 0.05,
    power: float = 0.8,
    comparisons: int = 1,
) -> int | None:
    """Return how many seeds of each arm are likely to show a difference.

    Args:
        std_difference: Standard deviation of the differences between the arms' seeds, such as
            an earlier comparison has found.
        difference: Mean difference to be shown, in the same unit.
        level: Two-sided level of the test.
        power: Wanted probability of a p at or under the level.
        comparisons: Size of the family; the level is divided by it (Bonferroni).

    Returns:
        None if the difference is 0, either is NaN, or more than 1,000 seeds would be needed.

    Raises:
        ValueError: The standard deviation is negative.
    """
    if std_difference < 0:
        raise ValueError(f"std_difference: got {std_difference}, at least 0 is needed")
    if not difference:
        return None
    effect = difference / std_difference if std_difference else math.inf
    return seeds_needed(effect, level=level / comparisons, power=power)


def _all_but_the_smallest(effect: float, n: int) -> float:
    """Return the probability that one difference is negative, and the smallest in size.

    n times the integral over t > 0 of phi(t + d) Phi(d - t)^(n - 1): one is -t, all others above.
    """
    import numpy
    from scipy.special import ndtr

    sizes, step = numpy.linspace(0, 8, 801, retstep=True)
    density = numpy.exp(-((sizes + effect) ** 2) / 2) / math.sqrt(2 * math.pi)
    return float(n * numpy.trapezoid(density * ndtr(effect - sizes) ** (n - 1), dx=step))


def _rejecting_flips(n: int, level: float) -> int:
    """Return how many of n differences' flips reject on each side, at a two-sided level."""
    return math.floor(math.ldexp(level, n - 1) * (1 + 1e-12))


def noether_pairs(probability: float, *, level: float = 0.05, power: float = 0.95) -> int:
    """Return how many pairs show, by a one-sided test, that a is better with this probability.

    Noether (1987), Sample size determination for some common nonparametric tests, JASA 82:645,
    as Bouthillier et al. (2021), Accounting for variance in machine learning benchmarks, use it:
    n = (z(1 - level) + z(power))^2 / (6 (probability - 1/2)^2).

    Args:
        probability: P(A>B) to be shown, between 0 and 1, not 1/2.
        level: One-sided level of the test.
        power: Wanted probability that it shows.

    Raises:
        ValueError: The probability is 1/2, which no number of pairs can tell from 1/2, or is
            none.
    """
    if not 0 <= probability <= 1 or probability == 0.5:
        raise ValueError(f"probability: got {probability}; between 0 and 1 and not 1/2 is allowed")
    quantile = _NORMAL.inv_cdf
    reach = quantile(1 - level) + quantile(power)
    return math.ceil(reach**2 / (6 * (probability - 0.5) ** 2))
