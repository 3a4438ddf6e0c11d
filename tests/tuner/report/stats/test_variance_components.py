"""Promises of the shares of variance."""

from __future__ import annotations

import itertools

import numpy
import pandas
import pytest
import scipy.optimize
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from tuner.report import stats


def _crossed(
    levels: dict[str, int], spread: dict[str, float], seed: int
) -> tuple[numpy.ndarray, dict[str, list[int]]]:
    """Draw scores of a full crossing of sources, each with a standard deviation; and the rest."""
    generator = numpy.random.default_rng(seed)
    effects = {name: generator.normal(0, spread[name], n) for name, n in levels.items()}
    rows = list(itertools.product(*(range(n) for n in levels.values())))
    seeds = {name: [row[i] for row in rows] for i, name in enumerate(levels)}
    values = sum(effects[name][seeds[name]] for name in levels)
    return 0.8 + values + generator.normal(0, spread["rest"], len(rows)), seeds


def test_a_balanced_crossing_gives_the_estimates_of_anova() -> None:
    """(Mean square - residual mean square) / runs a level, the squares from statsmodels."""
    values, seeds = _crossed({"init": 4, "order": 5}, {"init": 2, "order": 1.5, "rest": 0.5}, 1)
    table = anova_lm(ols("y ~ C(init) + C(order)", pandas.DataFrame({"y": values, **seeds})).fit())
    squares = table["sum_sq"] / table["df"]
    rest = squares["Residual"]
    expected = {
        "init": (squares["C(init)"] - rest) / 5,
        "order": (squares["C(order)"] - rest) / 4,
        "rest": rest,
    }
    assert min(expected.values()) > 0
    assert stats.variance_components(values, seeds) == pytest.approx(expected, rel=1e-9)


def test_known_shares_are_found() -> None:
    """Over many simulated studies the mean estimate is the true variance of each source."""
    spread = {"init": 2.0, "order": 1.0, "data": 1.5, "rest": 0.5}
    found = [
        stats.variance_components(*_crossed({"init": 4, "order": 4, "data": 4}, spread, seed))
        for seed in range(60)
    ]
    for source, std in spread.items():
        values = [estimate[source] for estimate in found]
        error = numpy.std(values) / numpy.sqrt(len(values))
        assert numpy.mean(values) == pytest.approx(std**2, abs=4 * error)
    assert list(found[0]) == ["init", "order", "data", "rest"]


def test_one_at_a_time_is_enough() -> None:
    """Runs that vary one source from a base, the others fixed, tell the sources apart."""
    seeds = {"init": [0, 1, 2, 3, 0, 0, 0, 0], "order": [0, 0, 0, 0, 1, 2, 3, 0]}
    values = [1.0, 3.0, 2.0, 5.0, 1.1, 0.9, 1.0, 1.05]
    found = stats.variance_components(values, seeds)
    assert list(found) == ["init", "order", "rest"]
    assert found["init"] > 10 * (found["order"] + found["rest"])


def test_unequal_numbers_are_solved_over_every_pair() -> None:
    """In a crossing with holes and repeats, a bounded solver over all pairs finds the same."""
    seeds = {"init": [0, 0, 0, 0, 1, 1, 2, 2, 3], "order": [0, 1, 1, 2, 0, 1, 0, 2, 2]}
    values = [0.1, 0.5, 0.7, 0.2, 0.9, 0.8, 0.3, 0.6, 0.95]
    pairs = list(itertools.combinations(range(9), 2))
    rows = [[*(n[i] != n[j] for n in seeds.values()), True] for i, j in pairs]
    halves = [(values[i] - values[j]) ** 2 / 2 for i, j in pairs]
    expected = scipy.optimize.lsq_linear(numpy.array(rows, float), halves, bounds=(0, numpy.inf)).x
    assert (expected > 1e-3).sum() >= 2
    assert list(stats.variance_components(values, seeds).values()) == pytest.approx(
        expected, abs=1e-6
    )


def test_no_variance_is_negative() -> None:
    """Where the plain solution of a crossing is below 0, the estimate is 0."""
    seeds = {"init": [0, 0, 1, 1], "order": [0, 1, 0, 1]}
    found = stats.variance_components([0.0, 1.0, 1.0, 0.0], seeds)
    assert found == pytest.approx({"init": 0.0, "order": 0.0, "rest": 1 / 3})


def test_seeds_that_move_together_are_one_source() -> None:
    """Init and order set by one study seed are joined; a fixed source is left out."""
    seeds = {"init": [1, 1, 2, 2], "order": [8, 8, 9, 9], "data": [7] * 4}
    assert list(stats.variance_components([0, 1, 3, 4], seeds)) == ["init+order", "rest"]


def test_seeds_that_never_repeat_are_joined_with_the_rest() -> None:
    """Then all is one, and its variance is that of the sample."""
    values = [0.1, 0.4, 0.2, 0.9]
    found = stats.variance_components(values, {"init": range(4), "order": range(4, 8)})
    assert found == pytest.approx({"init+order+rest": numpy.var(values, ddof=1)})
    nested = {"init": [1, 1, 2, 2], "order": [1, 2, 3, 4]}
    assert list(stats.variance_components(values, nested)) == ["init", "order+rest"]


def test_runs_that_leave_the_parting_open_are_not_parted() -> None:
    """Where every two runs differ in two of three sources, no source can be singled out."""
    seeds = {"init": [0, 0, 1, 1], "order": [0, 1, 0, 1], "data": [0, 1, 1, 0]}
    values = [0.1, 0.4, 0.2, 0.9]
    found = stats.variance_components(values, seeds)
    assert found == pytest.approx({"init+order+data+rest": numpy.var(values, ddof=1)})


def test_the_order_of_runs_changes_no_bit() -> None:
    """Nor does a constant added to all, beyond rounding."""
    values, seeds = _crossed({"init": 3, "order": 4}, {"init": 1, "order": 1, "rest": 1}, 2)
    mixed = numpy.random.default_rng(1).permutation(len(values))
    shuffled = {name: numpy.array(numbers)[mixed] for name, numbers in seeds.items()}
    found = stats.variance_components(values, seeds)
    assert stats.variance_components(values[mixed], shuffled) == found
    assert stats.variance_components(values + 5, seeds) == pytest.approx(found, rel=1e-9)


def test_equal_scores_have_no_variance() -> None:
    """Nothing to part; and below two runs nothing at all."""
    assert stats.variance_components([0.5] * 4, {"init": [1, 1, 2, 2]}) == {"init": 0, "rest": 0}
    assert stats.variance_components([0.5], {"init": [1]}) == {}


def test_seeds_of_another_length_are_refused() -> None:
    """Each run has a seed of each source."""
    with pytest.raises(ValueError, match="seeds of init"):
        stats.variance_components([0.5, 0.6], {"init": [1]})
