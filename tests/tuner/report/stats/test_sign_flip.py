"""Promises of the sign-flip test."""

from __future__ import annotations

import itertools

import numpy
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as some

from tuner.report import stats

GRID = some.lists(some.integers(-20, 20), min_size=1, max_size=9)
"""Differences on a coarse grid, so that ties abound."""


def _enumerated(differences: list[int]) -> float:
    """Count with whole numbers, flip by flip."""
    observed = abs(sum(differences))
    flips = list(itertools.product((-1, 1), repeat=len(differences)))
    sums = [sum(s * d for s, d in zip(signs, differences, strict=True)) for signs in flips]
    return sum(abs(found) >= observed for found in sums) / len(flips)


@settings(deadline=None)  # the first example imports scipy
@given(GRID)
def test_p_is_the_share_of_flips_as_far_from_0(differences: list[int]) -> None:
    """P equals plain enumeration in whole numbers, ties and all."""
    assert stats.sign_flip_p([d / 1000 for d in differences]) == _enumerated(differences)


@pytest.mark.parametrize("n", [5, 8, 12])
def test_p_agrees_with_scipys_permutation_test(n: int) -> None:
    """Scipy's exact test of the mean over samples finds the same p."""
    differences = numpy.random.default_rng(n).normal(0.4, 1, n)
    exact = scipy.stats.permutation_test(
        (differences,), numpy.mean, permutation_type="samples", n_resamples=numpy.inf
    )
    assert stats.sign_flip_p(differences) == pytest.approx(exact.pvalue, abs=1e-12)


@pytest.mark.parametrize("n", [2, 5, 6, 8, 17, 30])
def test_differences_of_one_sign_reach_the_least_p(n: int) -> None:
    """All of one sign: only this flip and its mirror are as far from 0."""
    differences = numpy.random.default_rng(n).uniform(0.5, 1, n)
    assert stats.sign_flip_p(differences) == 2 / 2**n


def test_five_pairs_cannot_reach_5_percent() -> None:
    """The least p of five pairs is .0625, of six .03125; of none and of one it is 1."""
    least = [stats.sign_flip_p(range(1, n + 1)) for n in (0, 1, 5, 6)]
    assert least == [1, 1, 0.0625, 0.03125]


@pytest.mark.parametrize("differences", [[], [0.0], [0.0] * 7, [0.3]])
def test_nothing_to_tell_gives_p_1(differences: list[float]) -> None:
    """No difference, or one alone, says nothing."""
    assert stats.sign_flip_p(differences) == 1


@settings(deadline=None)  # the first example imports scipy
@given(GRID, some.randoms(use_true_random=False))
def test_order_and_sign_do_not_change_p(differences: list[int], random: object) -> None:
    """P is the same in any order of seeds and for the arms swapped."""
    values = [d / 7 for d in differences]
    shuffled = [-value for value in values]
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis gives a Random
    assert stats.sign_flip_p(shuffled) == stats.sign_flip_p(values)


@settings(deadline=None)  # the first example imports scipy
@given(
    some.lists(some.tuples(some.integers(0, 500), some.integers(0, 500)), min_size=1, max_size=8),
    some.floats(-500, 500),
)
def test_a_shift_of_both_arms_leaves_p(pairs: list[tuple[int, int]], shift: float) -> None:
    """A constant added to both arms changes the last bits of the differences, and not p."""
    a, b = (numpy.array(scores) / 1000 for scores in zip(*pairs, strict=True))
    assert stats.sign_flip_p((a + shift) - (b + shift)) == stats.sign_flip_p(a - b)


def test_many_pairs_are_estimated_close_to_the_exact_law() -> None:
    """Beyond 30 pairs the estimate agrees with the normal limit, never 0, always the same."""
    differences = numpy.random.default_rng(3).normal(0.15, 1, 200)
    p = stats.sign_flip_p(differences)
    z = differences.sum() / numpy.sqrt((differences**2).sum())
    assert p == pytest.approx(2 * scipy.stats.norm.sf(abs(z)), abs=0.004)
    assert p == stats.sign_flip_p(differences[::-1])
    assert stats.sign_flip_p(numpy.ones(200)) == 1e-5


def test_the_estimate_joins_the_exact_p() -> None:
    """At 30 and 31 pairs, of which one is 0, the two ways agree to Monte Carlo error."""
    differences = numpy.random.default_rng(5).normal(0.25, 1, 30)
    exact = stats.sign_flip_p(differences)
    assert 0.01 < exact < 0.9
    error = 4 * numpy.sqrt(exact * (1 - exact) / 99_999)
    assert stats.sign_flip_p([*differences, 0.0]) == pytest.approx(exact, abs=error)
