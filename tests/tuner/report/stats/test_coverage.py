"""Promises of the simulated coverage: what the report's interval and test are chosen by."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench.coverage import (
    COVERAGE_SEEDS,
    LEAST,
    MOST,
    NORMAL,
    RUNS,
    TEST_SEEDS,
    Law,
    Simulation,
    coverage,
    normal,
    real,
    rejections,
    simulate,
    skewed,
    text,
)

ROOT = Path(__file__).parents[4]
QUICK = 1000


def _laws() -> list[Law]:
    return [normal(), skewed(), real(ROOT / RUNS, "test/macro_f1")]


def _error(share: float, draws: int) -> float:
    """Return three standard errors of a share of so many draws."""
    return 3 * math.sqrt(share * (1 - share) / draws)


def _expect_a_valid_test(simulation: Simulation) -> None:
    for (law, n), share in simulation.errors.items():
        assert share <= 0.05 + _error(0.05, simulation.draws), (law, n)
        assert n != 5 or share == 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_chosen_interval_covers_and_the_test_keeps_its_level() -> None:
    """The whole simulation: t covers 93 to 97% of normal samples, p <= .05 in at most 5%."""
    simulation = simulate(_laws(), 10_000, resamples=1000)
    assert simulation.chosen() == "t"
    for n in COVERAGE_SEEDS:
        assert LEAST <= simulation.coverage[NORMAL, n]["t"] <= MOST
        assert simulation.coverage[NORMAL, n]["percentile"] < LEAST
        assert simulation.coverage[NORMAL, n]["BCa"] < LEAST
    _expect_a_valid_test(simulation)
    for (effect, n), share in simulation.power.items():
        formula = simulation.t_power[effect.replace("simulated", "t test"), n]
        assert share <= formula + _error(formula, simulation.draws)
    assert text(simulation) == (ROOT / "docs/coverage.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("n", COVERAGE_SEEDS)
def test_in_few_draws_too_the_chosen_interval_covers(n: int) -> None:
    """A quick twin: t's share on normal scores is .95 to the error of a thousand draws."""
    shares = coverage(normal(), n, draws=QUICK, resamples=99)
    assert shares["t"] == pytest.approx(0.95, abs=_error(0.95, QUICK))
    assert n != 5 or shares["percentile"] < 0.95 - _error(0.95, QUICK)


def test_in_few_draws_too_the_test_keeps_its_level() -> None:
    """A quick twin: false positives of each law at each n, to the error of a thousand draws."""
    errors = {
        (law.name, n): rejections(law, n, draws=QUICK, effect=0.0)
        for law in _laws()
        for n in TEST_SEEDS
    }
    _expect_a_valid_test(Simulation(QUICK, 0, {}, errors, {}, {}))
    assert max(errors.values()) > 0.03  # the test does reject


def test_scores_of_real_runs_keep_their_mean_and_spread() -> None:
    """The urn has the mean of the arms' means, and scores within 0 and 1."""
    import numpy

    law = real(ROOT / RUNS, "test/macro_f1")
    drawn = law.draw(numpy.random.default_rng(1), (20_000, 5))
    assert drawn.mean() == pytest.approx(law.mean, abs=4 * drawn.std() / math.sqrt(drawn.size))
    assert len(numpy.unique(drawn)) >= 20
    assert 0 < drawn.min() < drawn.max() < 1
