"""Rank arms across tasks, after Demšar (2006), Journal of Machine Learning Research 7:1."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy

from tuner.report.stats.arrays import Floats, Values, floats


def mean_ranks(scores: Values, *, higher_is_better: bool = True) -> Floats:
    """Return each arm's mean rank over the blocks; 1 is best, ties share their mean rank.

    Args:
        scores: Of shape (blocks, arms); a block is a task.
        higher_is_better: False for a loss.
    """
    table = floats(scores, 2)
    one, other = table[:, :, None], table[:, None, :]
    before = (other > one) if higher_is_better else (other < one)
    ties = (other == one).sum(axis=2)  # each arm with itself too
    ranks: Floats = (before.sum(axis=2) + (ties + 1) / 2).mean(axis=0)
    return ranks


def friedman_p(scores: Values) -> float:
    """Return the p of Friedman's test that no arm ranks differently from another.

    From three arms on it is the chi-squared approximation, corrected for ties (Friedman 1937).
    For two arms Friedman's test is the sign test, whose exact two-sided p is returned.

    Args:
        scores: Of shape (blocks, arms).

    Returns:
        NaN below two blocks or two arms; 1 if all arms tie in every block.
    """
    from scipy.stats import binomtest, friedmanchisquare

    table = floats(scores, 2)
    blocks, arms = table.shape
    if blocks < 2 or arms < 2:
        return math.nan
    if (table == table[:, :1]).all():
        return 1.0
    if arms > 2:
        return float(friedmanchisquare(*table.T).pvalue)
    wins, losses = (int((sign * (table[:, 0] - table[:, 1]) > 0).sum()) for sign in (1, -1))
    return float(binomtest(wins, wins + losses).pvalue)


def critical_difference(arms: int, blocks: int, level: float = 0.05) -> float:
    """Return the difference of mean ranks from which on two arms are separable (Nemenyi 1963).

    q sqrt(arms (arms + 1) / (6 blocks)), q the studentized range's quantile for infinitely many
    degrees of freedom, divided by sqrt(2).

    Args:
        arms: At least 2.
        blocks: At least 1.
        level: Of the family of all pairs.
    """
    return _range_quantile(arms, level) / math.sqrt(2) * _rank_error(arms, blocks)


def nemenyi_p(scores: Values) -> Floats:
    """Return Nemenyi's p for every pair of arms, corrected for all pairs; 1 on the diagonal.

    Args:
        scores: Of shape (blocks, arms), at least one block and two arms.

    Returns:
        Of shape (arms, arms), symmetric.
    """
    from scipy.stats import studentized_range

    ranks = mean_ranks(scores)
    blocks, arms = floats(scores, 2).shape
    gaps = numpy.abs(ranks[:, None] - ranks[None, :])
    p: Floats = studentized_range.sf(
        gaps / _rank_error(arms, blocks) * math.sqrt(2), arms, numpy.inf
    )
    numpy.fill_diagonal(p, 1.0)
    return numpy.clip(p, 0.0, 1.0)


def not_separable_groups(ranks: Values, difference: float) -> list[tuple[int, ...]]:
    """Return the largest groups of arms whose mean ranks all lie within the critical difference.

    They are the bars of a critical-difference diagram. A gap equal to the critical difference
    separates, as in Demšar.

    Args:
        ranks: Mean ranks, of shape (arms,).
        difference: The result of `critical_difference`.

    Returns:
        Positions of the arms in `ranks`, best first; groups of one are left out.
    """
    found = floats(ranks)
    order = numpy.argsort(found, kind="stable").tolist()
    groups = []
    reached = 0
    for first in range(len(order)):
        last = first
        while last + 1 < len(order) and found[order[last + 1]] - found[order[first]] < difference:
            last += 1
        if last > first and last > reached:
            groups.append(tuple(order[first : last + 1]))
        reached = max(reached, last)
    return groups


def _rank_error(arms: int, blocks: int) -> float:
    """Return the standard error of the difference of two mean ranks."""
    return math.sqrt(arms * (arms + 1) / (6 * blocks))


@lru_cache(maxsize=64)
def _range_quantile(arms: int, level: float) -> float:
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(1 - level, arms, numpy.inf))
