"""Promises of the comparison across tasks."""

from __future__ import annotations

import math

import numpy
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as some

from tuner.report import stats

# Six tasks by four arms.
SCORES = numpy.array(
    [
        [0.80, 0.78, 0.75, 0.60],
        [0.90, 0.91, 0.85, 0.70],
        [0.70, 0.65, 0.66, 0.50],
        [0.60, 0.58, 0.58, 0.55],
        [0.85, 0.80, 0.79, 0.81],
        [0.77, 0.76, 0.70, 0.69],
    ]
)


def test_ranks_begin_at_the_best_and_ties_share() -> None:
    """The highest score has rank 1; equal ones have the mean of their ranks."""
    assert stats.mean_ranks([[0.9, 0.5, 0.5, 0.1]]).tolist() == [1, 2.5, 2.5, 4]
    assert stats.mean_ranks(SCORES) == pytest.approx([7 / 6, 13.5 / 6, 17.5 / 6, 22 / 6])


def test_for_a_loss_the_lowest_is_best() -> None:
    """The order turns round."""
    ranks = stats.mean_ranks(SCORES, higher_is_better=False)
    assert ranks == pytest.approx(5 - stats.mean_ranks(SCORES))


def test_friedmans_p_follows_from_the_mean_ranks() -> None:
    """Without ties, it is chi-squared of 12 N / (k (k + 1)) sum (R - (k + 1) / 2)^2."""
    scores = numpy.random.default_rng(1).normal([0, 0.5, 1, 1], 1, (8, 4))
    deviations = stats.mean_ranks(scores) - 2.5
    statistic = 12 * 8 / 20 * (deviations**2).sum()
    assert stats.friedman_p(scores) == pytest.approx(scipy.stats.chi2.sf(statistic, 3))


def test_friedmans_p_of_two_arms_is_the_exact_sign_test() -> None:
    """Five wins of six, one tie left out: 2 * 1/2^5 for five of five."""
    pairs = [[1, 0], [2, 0], [3, 1], [1, 0], [5, 2], [1, 1]]
    assert stats.friedman_p(pairs) == pytest.approx(2 / 2**5)


def test_friedmans_p_without_differences_or_blocks() -> None:
    """Arms that tie everywhere have p 1; one block or one arm has none."""
    assert stats.friedman_p([[0.5, 0.5, 0.5]] * 4) == 1
    assert stats.friedman_p([[0.5, 0.5]] * 4) == 1
    assert math.isnan(stats.friedman_p([[0.5, 0.6, 0.7]]))
    assert math.isnan(stats.friedman_p([[0.5], [0.6]]))


@pytest.mark.parametrize(
    ("arms", "quantile"),
    list(enumerate([1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164], start=2)),
)
def test_the_critical_difference_has_the_published_quantiles(arms: int, quantile: float) -> None:
    """Demšar (2006), table 5a, to its last digit."""
    error = math.sqrt(arms * (arms + 1) / (6 * 14))
    assert stats.critical_difference(arms, 14, 0.05) / error == pytest.approx(quantile, abs=1.1e-3)


def test_the_critical_difference_of_two_arms_is_that_of_two_normals() -> None:
    """At another level, too: z sqrt(1 / blocks)."""
    z = scipy.stats.norm.isf(0.05)
    assert stats.critical_difference(2, 10, 0.10) == pytest.approx(z / math.sqrt(10), rel=1e-4)


def test_nemenyis_p_is_the_level_at_the_critical_difference() -> None:
    """P of a pair is below the level exactly where its ranks differ by more than the distance."""
    p = stats.nemenyi_p(SCORES)
    ranks = stats.mean_ranks(SCORES)
    gaps = numpy.abs(ranks[:, None] - ranks)
    assert p.shape == (4, 4)
    assert (p == p.T).all()
    assert (numpy.diagonal(p) == 1).all()
    for level in (0.01, 0.05, 0.3):
        assert ((p < level) == (gaps > stats.critical_difference(4, 6, level))).all()
    assert 0 < (p < 0.05).sum() < 12


def test_groups_are_the_bars_of_the_picture() -> None:
    """Largest sets within the distance; no bar within another, none of one arm."""
    groups = stats.not_separable_groups([1.5, 3.0, 2.0, 4.2, 9.0], 1.6)
    assert groups == [(0, 2, 1), (1, 3)]
    assert stats.not_separable_groups([1.0, 2.0, 3.0], 0.5) == []
    assert stats.not_separable_groups([1.0, 2.0, 3.0], 5) == [(0, 1, 2)]
    assert stats.not_separable_groups([1.0, 2.0], 1.0) == []
    assert stats.not_separable_groups([2.0, 2.0], 0.1) == [(0, 1)]


@settings(deadline=None)  # the first example imports scipy
@given(some.lists(some.integers(0, 20), max_size=7), some.integers(1, 15))
def test_groups_are_all_maximal_cliques(ranks: list[int], difference: int) -> None:
    """They are what a search over all subsets finds."""
    arms = range(len(ranks))
    subsets = [{arm for arm in arms if chosen >> arm & 1} for chosen in range(2 ** len(ranks))]
    close = [
        found
        for found in subsets
        if len(found) > 1
        and max(ranks[arm] for arm in found) - min(ranks[arm] for arm in found) < difference
    ]
    maximal = [found for found in close if not any(found < other for other in close)]
    groups = stats.not_separable_groups(ranks, difference)
    assert len(groups) == len(maximal)
    assert {frozenset(group) for group in groups} == {frozenset(found) for found in maximal}
