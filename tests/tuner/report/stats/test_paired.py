"""Promises of paired comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as some

from tuner.report import stats

A = [0.812, 0.773, 0.801, 0.799, 0.808, 0.790]
B = [0.790, 0.775, 0.780, 0.781, 0.770, 0.779]
SCORE_PAIRS = some.lists(
    some.tuples(some.integers(0, 100), some.integers(0, 100)), min_size=2, max_size=9
)


def _arms(pairs: list[tuple[int, int]]) -> list[list[float]]:
    return [[score / 100 for score in arm] for arm in zip(*pairs, strict=True)]


def _p(a: Sequence[float], b: Sequence[float]) -> float:
    return stats.sign_flip_p(stats.paired_differences(a, b))


def test_a_comparison_agrees_with_scipy() -> None:
    """Mean, interval, effect and P(A>B) are what scipy finds by other routines."""
    found = stats.compare_pairs(A, B)
    reference = scipy.stats.ttest_rel(A, B)
    wins = scipy.stats.binomtest(5, 6).proportion_ci(0.95, method="exact")
    assert found.n == 6
    assert found.mean_difference == pytest.approx(numpy.mean(A) - numpy.mean(B), rel=1e-12)
    assert found.cohens_d == pytest.approx(reference.statistic / math.sqrt(6), rel=1e-9)
    assert found.probability_a_better == pytest.approx(5 / 6)
    expected = [wins.low, wins.high]
    assert [found.probability_low, found.probability_high] == pytest.approx(expected, rel=1e-9)
    assert stats.sign_flip_p(stats.paired_differences(A, B)) == 0.0625


@settings(deadline=None)  # the first example imports scipy
@given(SCORE_PAIRS, some.booleans())
def test_swapping_the_arms_mirrors_everything(pairs: list[tuple[int, int]], higher: bool) -> None:
    """Differences change sign, P(A>B) becomes 1 - P, p and the seeds needed stay."""
    a, b = _arms(pairs)
    one = stats.compare_pairs(a, b, higher_is_better=higher)
    two = stats.compare_pairs(b, a, higher_is_better=higher)
    assert two.n == one.n
    assert _p(b, a) == _p(a, b)
    assert two.std_difference == one.std_difference
    assert two.mean_difference == -one.mean_difference
    assert two.probability_a_better == pytest.approx(1 - one.probability_a_better)
    assert two.probability_low == pytest.approx(1 - one.probability_high, abs=1e-9)
    assert two.cohens_d == pytest.approx(-one.cohens_d, nan_ok=True)


@settings(deadline=None)  # the first example imports scipy
@given(SCORE_PAIRS, some.randoms(use_true_random=False))
def test_the_order_of_seeds_changes_no_bit(pairs: list[tuple[int, int]], random: object) -> None:
    """Pairs shuffled together give the same comparison."""
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis gives a Random
    assert repr(stats.compare_pairs(*_arms(shuffled))) == repr(stats.compare_pairs(*_arms(pairs)))


@settings(deadline=None)  # the first example imports scipy
@given(SCORE_PAIRS, some.integers(-3, 3))
def test_a_shift_of_both_arms_leaves_what_decides(
    pairs: list[tuple[int, int]], shift: int
) -> None:
    """A constant added to both arms leaves p, P(A>B) and the differences."""
    a, b = _arms(pairs)
    one = stats.compare_pairs(a, b)
    two = stats.compare_pairs([x + shift for x in a], [x + shift for x in b])
    assert two.probability_a_better == one.probability_a_better
    assert _p([x + shift for x in a], [x + shift for x in b]) == _p(a, b)
    assert two.mean_difference == pytest.approx(one.mean_difference, abs=1e-12)
    assert two.std_difference == pytest.approx(one.std_difference, abs=1e-12)


def test_a_smaller_loss_is_better() -> None:
    """For a loss P(A>B) counts the seeds on which a is lower; differences keep their sign."""
    found = stats.compare_pairs([1.0, 1.0, 3.0], [2.0, 1.0, 2.0], higher_is_better=False)
    assert found.probability_a_better == 0.5
    lower = stats.compare_pairs([1.0, 1.5], [2.0, 2.0], higher_is_better=False)
    assert (lower.probability_a_better, lower.mean_difference) == (1.0, -0.75)


def test_the_interval_of_probability_agrees_with_p() -> None:
    """Five wins of five leave 1/2 possible, as p = .0625 does; six of six exclude both."""
    five, six = (stats.compare_pairs(range(1, n + 1), [0.0] * n) for n in (5, 6))
    assert [_p(range(1, n + 1), [0.0] * n) for n in (5, 6)] == [0.0625, 0.03125]
    assert five.probability_low == pytest.approx(0.025 ** (1 / 5))
    assert five.probability_low < 0.5 < six.probability_low
    assert five.probability_high == six.probability_high == 1


def test_rounding_is_no_difference() -> None:
    """Scores equal but for the last bit tie, and equal differences have no spread."""
    tied = stats.compare_pairs([0.1 + 0.2, 0.5], [0.3, 0.4])
    assert tied.probability_a_better == 0.75
    equal = stats.compare_pairs([0.81, 0.82, 0.9], [0.71, 0.72, 0.8])
    assert equal.std_difference == 0
    assert math.isnan(equal.cohens_d)


def test_one_pair_has_no_spread() -> None:
    """A single seed gives a difference and nothing to judge it by."""
    found = stats.compare_pairs([0.8], [0.7])
    assert (found.n, _p([0.8], [0.7])) == (1, 1.0)
    assert all(map(math.isnan, (found.std_difference, found.cohens_d)))


@pytest.mark.parametrize(("a", "b"), [([], []), ([1.0], [1.0, 2.0])])
def test_unpaired_scores_are_refused(a: list[float], b: list[float]) -> None:
    """Each seed needs a score of both arms."""
    with pytest.raises(ValueError, match="pairs"):
        stats.compare_pairs(a, b)
