"""Promises of the numbers of seeds."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from tuner.report import stats


@pytest.mark.parametrize(
    ("probability", "pairs"), [(0.7, 46), (0.75, 29), (0.8, 21), (0.9, 12), (0.25, 29)]
)
def test_noethers_numbers_are_the_published_ones(probability: float, pairs: int) -> None:
    """Bouthillier et al. (2021) give these at alpha = beta = .05."""
    assert stats.noether_pairs(probability) == pairs


@pytest.mark.parametrize("probability", [0.5, -0.1, 1.2])
def test_noether_refuses_what_no_number_shows(probability: float) -> None:
    """1/2 cannot be told from 1/2."""
    with pytest.raises(ValueError, match="probability"):
        stats.noether_pairs(probability)


@pytest.mark.parametrize("effect", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("n", [6, 20, 100])
@pytest.mark.parametrize("level", [0.05, 0.001])
def test_power_agrees_with_statsmodels(effect: float, n: int, level: float) -> None:
    """But for the tail on the wrong side, which matters where there is no power."""
    expected = TTestPower().power(effect, n, level, alternative="two-sided")
    wrong = TTestPower().power(effect, n, level / 2, alternative="smaller")
    assert stats.paired_power(effect, n, level=level) == pytest.approx(expected - wrong, abs=1e-9)


@pytest.mark.parametrize("n", [6, 10, 30, 1000])
@pytest.mark.parametrize("level", [0.05, 0.002])
def test_the_power_of_a_huge_effect_is_1(n: int, level: float) -> None:
    """No effect is so large that the series behind the power fails."""
    assert [stats.paired_power(d, n, level=level) for d in (12.0, 1e9, math.inf)] == [1.0] * 3


@pytest.mark.parametrize("effect", [0.5, 1.0, 1.5, 2.0])
@pytest.mark.parametrize(
    ("n", "level", "above"),
    [
        *((5, 0.05, 0.0), (6, 0.05, 0.0), (7, 0.05, 0.02), (8, 0.05, 0.02), (12, 0.05, 0.02)),
        *((7, 0.05 / 3, 0.0), (8, 0.05 / 3, 0.0), (9, 0.005, 0.0), (10, 0.005, 0.0)),
    ],
)
def test_power_of_sign_flips_is_what_flips_show(
    effect: float, n: int, level: float, above: float
) -> None:
    """On 2,000 drawn samples, whose p is found by listing every flip; at most a little above."""
    draws, generator = 2000, np.random.default_rng(n)
    samples = np.abs(drawn := generator.normal(effect, 1, (draws, n)))
    signs = np.array(list(itertools.product([1, -1], repeat=n))).T
    sums = np.abs(samples @ signs)
    p = (sums >= np.abs(drawn.sum(axis=1, keepdims=True)) - 1e-9).mean(axis=1)
    seen = (p <= level).mean()
    said = stats.sign_flip_power(effect, n, level=level)
    error = 3 * math.sqrt(max(said * (1 - said), 1e-9) / draws)
    assert seen - error <= said <= seen + above + error


@pytest.mark.parametrize("level", [0.05, 0.0167, 0.05 / 45])
def test_power_of_sign_flips_grows_with_n(level: float) -> None:
    """So that the fewest seeds can be found by halving."""
    powers = [stats.sign_flip_power(0.7, n, level=level) for n in range(2, 200)]
    assert powers == sorted(powers)
    assert powers[0] == 0.0
    assert stats.sign_flip_power(0.1, 1000, level=level) == pytest.approx(
        stats.paired_power(0.1, 1000, level=level)
    )


@pytest.mark.parametrize("std", [0.004, 0.005, 0.02, 0.08])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_seeds_to_detect_are_the_fewest(std: float, power: float) -> None:
    """The number found has the power and one fewer has not; never fewer than by the t test."""
    n = stats.seeds_to_detect(std, 0.01, power=power)
    assert n is not None
    assert n >= 6
    assert stats.sign_flip_power(0.01 / std, n) >= power
    assert stats.sign_flip_power(0.01 / std, n - 1) < power
    assert TTestPower().power(0.01 / std, n, 0.05) >= power


def test_more_comparisons_need_more_seeds() -> None:
    """The level is divided by the size of the family."""
    found = [stats.seeds_to_detect(0.02, 0.01, comparisons=family) for family in (1, 10, 100)]
    assert found[0] == math.ceil(TTestPower().solve_power(0.5, None, 0.05, 0.8))
    assert found == sorted(set(found))


def test_a_difference_without_spread_needs_the_least_that_the_test_can_use() -> None:
    """Then one seed would show it, were it not for 2/2^n."""
    assert stats.seeds_to_detect(0.0, -0.01) == 6
    assert stats.seeds_to_detect(0.0, 0.01, level=0.01) == 8


@pytest.mark.parametrize(
    ("std", "difference"),
    [(0.02, 0.0), (0.0, 0.0), (0.5, 0.01), (math.nan, 0.01), (0.1, math.nan)],
)
def test_what_cannot_be_shown_has_no_number(std: float, difference: float) -> None:
    """No difference, more than 1,000 seeds, or nothing known."""
    assert stats.seeds_to_detect(std, difference) is None


def test_a_negative_spread_is_refused() -> None:
    """It is no standard deviation."""
    with pytest.raises(ValueError, match="std_difference"):
        stats.seeds_to_detect(-0.1, 0.01)
