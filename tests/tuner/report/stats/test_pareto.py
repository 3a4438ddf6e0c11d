"""Promises of the Pareto set."""

from __future__ import annotations

import itertools

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tuner.report import stats

COSTS = some.lists(some.lists(some.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=7)


@settings(deadline=None)  # the first example imports scipy
@given(COSTS)
def test_the_set_holds_whom_no_arm_beats(costs: list[list[int]]) -> None:
    """An arm is out exactly if another is as good in all and better in one."""
    expected = [
        not any(
            all(x <= y for x, y in zip(other, own, strict=True)) and other != own
            for other in costs
        )
        for own in costs
    ]
    assert stats.pareto(costs).tolist() == expected


def test_rounding_beats_nobody() -> None:
    """Costs equal but for the last bit tie, so that both arms stay."""
    assert stats.pareto([[0.1 + 0.2, 1e9], [0.3, 1e9]]).tolist() == [True, True]


def test_a_missing_cost_is_out_of_the_set() -> None:
    """An arm whose cost is not known neither is optimal nor beats another."""
    assert stats.pareto([[1.0, numpy.nan], [5.0, 5.0]]).tolist() == [False, True]


def test_the_probability_is_that_of_all_resamples() -> None:
    """Four seeds: the share over all 4^4 ordered draws, one by one."""
    scores = numpy.random.default_rng(1).normal(size=(3, 4, 2))
    draws = list(itertools.product(range(4), repeat=4))
    expected = sum(stats.pareto(scores[:, list(d)].mean(axis=1)) for d in draws) / len(draws)
    found = stats.pareto_probability(scores)
    assert found == pytest.approx(expected, abs=1e-12)
    assert (found > 0).all()
    assert (found < 1).any()


def test_many_seeds_are_drawn_at_random() -> None:
    """Beyond seven seeds it is an estimate, the same each time, near a plain bootstrap."""
    scores = numpy.random.default_rng(2).normal(size=(3, 12, 2))
    generator = numpy.random.default_rng(3)
    draws = generator.integers(0, 12, (4000, 12))
    expected = numpy.mean([stats.pareto(scores[:, d].mean(axis=1)) for d in draws], axis=0)
    found = stats.pareto_probability(scores)
    assert found == pytest.approx(expected, abs=0.055)  # four standard errors of both
    assert (found == stats.pareto_probability(scores)).all()


def test_seeds_are_shared_by_the_arms() -> None:
    """An arm worse by a constant on every seed is never in the set, however wild the seeds are."""
    first = numpy.random.default_rng(4).normal(size=(5, 2)) * 100
    assert stats.pareto_probability([first, first + 0.01]).tolist() == [1.0, 0.0]


def test_one_seed_gives_the_plain_set() -> None:
    """There is one way to draw one seed."""
    assert stats.pareto_probability([[[1.0, 2.0]], [[2.0, 3.0]]]).tolist() == [1.0, 0.0]


def test_no_seeds_are_refused() -> None:
    """Without a seed there is nothing to resample."""
    with pytest.raises(ValueError, match="no seeds"):
        stats.pareto_probability(numpy.zeros((2, 0, 3)))


def test_small_differences_are_ties() -> None:
    """A little worse in one cost and much better in another is better; a circle keeps all."""
    steps = stats.Steps(absolute=(1.0, 0.0), relative=(0.0, 0.1))
    costs = [[10.0, 100.0], [10.5, 50.0], [8.0, 200.0], [8.0, 195.0]]
    assert stats.pareto(costs).tolist() == [True, True, False, True]
    assert stats.pareto(costs, steps).tolist() == [False, True, True, True]
    circle = [[0.0, 1.0, 2.0], [1.0, 2.0, 0.0], [2.0, 0.0, 1.0]]
    even = stats.Steps(absolute=(1.0, 1.0, 1.0), relative=(0.0, 0.0, 0.0))
    assert stats.pareto(circle, even).tolist() == [True, True, True]


def test_of_three_arms_of_one_law_the_steps_leave_all_or_tell_why() -> None:
    """Noise below the steps beats nobody."""
    draws = numpy.random.default_rng(5)
    arms = draws.normal((0.5, 1e9, 100.0), (0.002, 1e7, 2.0), size=(3, 8, 3))
    steps = stats.Steps(absolute=(0.01, 0.0, 0.0), relative=(0.0, 0.05, 0.1))
    assert stats.pareto(arms.mean(axis=1), steps).all()
    assert stats.pareto_probability(arms, steps).tolist() == [1.0, 1.0, 1.0]
