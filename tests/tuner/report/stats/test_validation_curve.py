"""Promises of the expected best by budget."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tuner.report import stats

VALUES = [0.71, 0.64, 0.80, 0.64, 0.77, 0.52]


@pytest.mark.parametrize("better", [max, min])
def test_without_replacement_it_is_the_mean_over_all_sets(better: object) -> None:
    """For each n, the best of every set of n trials, averaged."""
    curve = stats.expected_best(VALUES, higher_is_better=better is max)
    for n, expected in enumerate(curve, start=1):
        sets = list(itertools.combinations(VALUES, n))
        assert expected == pytest.approx(sum(map(better, sets)) / len(sets), abs=1e-12)  # type: ignore[call-overload]  # max or min


@pytest.mark.parametrize("better", [max, min])
def test_with_replacement_it_is_the_mean_over_all_draws(better: object) -> None:
    """For each n, the best of every sequence of n draws, averaged."""
    curve = stats.expected_best(VALUES, higher_is_better=better is max, replacement=True)
    for n, expected in enumerate(curve, start=1):
        draws = list(itertools.product(VALUES, repeat=n))
        assert expected == pytest.approx(sum(map(better, draws)) / len(draws), abs=1e-12)  # type: ignore[call-overload]  # max or min


@pytest.mark.parametrize("replacement", [False, True])
def test_it_agrees_with_a_monte_carlo(replacement: bool) -> None:
    """Forty trials, 20,000 random orders: within 1e-3 at every budget."""
    generator = numpy.random.default_rng(1)
    values = generator.beta(20, 5, 40)
    if replacement:
        drawn = generator.choice(values, (20_000, 40))
    else:
        drawn = generator.permuted(numpy.tile(values, (20_000, 1)), axis=1)
    simulated = numpy.maximum.accumulate(drawn, axis=1).mean(axis=0)
    assert stats.expected_best(values, replacement=replacement) == pytest.approx(
        simulated, abs=1e-3
    )


@pytest.mark.parametrize("replacement", [False, True])
def test_it_stays_exact_for_a_thousand_trials(replacement: bool) -> None:
    """At n of 1, 500 and 1,000 it agrees with whole-number arithmetic."""
    values = numpy.random.default_rng(2).normal(size=1000)
    curve = stats.expected_best(values, replacement=replacement)
    ordered = sorted(values)
    for n in (1, 500, 1000):
        if replacement:
            below = [Fraction(i, 1000) ** n for i in range(1001)]
        else:
            below = [Fraction(math.comb(i, n), math.comb(1000, n)) for i in range(1001)]
        shares = [float(high - low) for low, high in itertools.pairwise(below)]
        expected = math.fsum(s * v for s, v in zip(shares, ordered, strict=True))
        assert curve[n - 1] == pytest.approx(expected, abs=1e-10)


@settings(deadline=None)  # the first example imports scipy
@given(some.lists(some.floats(0, 1), min_size=1, max_size=30), some.booleans())
def test_more_trials_are_never_worse(values: list[float], replacement: bool) -> None:
    """From the mean it climbs towards the best, in any order of trials."""
    curve = stats.expected_best(values, replacement=replacement)
    assert curve[0] == pytest.approx(numpy.mean(values))
    assert (numpy.diff(curve) >= -1e-15).all()
    assert curve[-1] <= max(values)
    assert replacement or curve[-1] == max(values)
    assert (curve == stats.expected_best(values[::-1], replacement=replacement)).all()


def test_no_trials_have_no_curve() -> None:
    """Nothing in, nothing out; one trial is its own best."""
    assert stats.expected_best([]).tolist() == []
    assert stats.expected_best([0.4]).tolist() == [0.4]


def test_seconds_grow_by_the_mean_trial() -> None:
    """The expected sum of n trials is n times their mean."""
    assert stats.expected_seconds([1.0, 2.0, 6.0]) == pytest.approx([3, 6, 9])
    assert stats.expected_seconds([]).tolist() == []


def test_a_swap_is_where_the_other_gets_ahead() -> None:
    """Both directions, in the order of budgets."""
    found = stats.swaps(
        [1, 2, 3, 4],
        [0.5, 0.6, 0.9, 0.9],
        [1, 2, 3, 4],
        [0.6, 0.7, 0.7, 1.0],
        higher_is_better=True,
    )
    assert [(swap.at, swap.leader_before, swap.leader_after) for swap in found] == [
        (3, "b", "a"),
        (4, "a", "b"),
    ]


def test_a_tie_is_no_swap() -> None:
    """Meeting and parting the same way, or being equal to the last bit, changes no place."""
    x = [1, 2, 3]
    assert stats.swaps(x, [0.5, 0.6, 0.8], x, [0.4, 0.6, 0.7], higher_is_better=True) == []
    assert stats.swaps(x, [0.5, 0.3, 0.8], x, [0.4, 0.1 + 0.2, 0.7], higher_is_better=True) == []
    crossed = stats.swaps(x, [0.5, 0.6, 0.7], x, [0.4, 0.6, 0.8], higher_is_better=True)
    assert [swap.at for swap in crossed] == [3]


def test_for_a_loss_the_lower_leads() -> None:
    """The same curves with their signs turned swap at the same places."""
    x, a, b = [1, 2, 3], [0.5, 0.6, 0.9], [0.6, 0.7, 0.7]
    negative = stats.swaps(x, [-v for v in a], x, [-v for v in b], higher_is_better=False)
    assert negative == stats.swaps(x, a, x, b, higher_is_better=True) != []


def test_curves_on_different_budgets_are_steps() -> None:
    """Arm a, slow and better: it leads once its first trial is paid for, and not before."""
    quick_x, quick_y = [10, 20, 30, 40], [0.5, 0.6, 0.65, 0.66]
    slow_x, slow_y = [25, 50], [0.55, 0.8]
    found = stats.swaps(slow_x, slow_y, quick_x, quick_y, higher_is_better=True)
    assert [(swap.at, swap.leader_after) for swap in found] == [(50, "a")]
    mirrored = stats.swaps(quick_x, quick_y, slow_x, slow_y, higher_is_better=True)
    assert [(swap.at, swap.leader_after) for swap in mirrored] == [(50, "b")]


def test_an_empty_curve_swaps_with_none() -> None:
    """An arm without trials has no place to change."""
    assert stats.swaps([], [], [1], [0.5], higher_is_better=True) == []
