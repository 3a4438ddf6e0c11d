"""Promises of the simulated coverage: what the report's interval and test are chosen by."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from bench.coverage import RUNS, text
from bench.coverage_draws import (
    COVERAGE_SEEDS,
    LEAST,
    MOST,
    NORMAL,
    TEST_SEEDS,
    Law,
    Simulation,
    coverage,
    false_positives,
    normal,
    real,
    rejecting_flips,
    rejections,
    simulate,
    skewed,
)
from tuner.report import stats

ROOT = Path(__file__).parents[4]
QUICK = 1000


def _laws() -> list[Law]:
    return [normal(), skewed(), real(ROOT / RUNS, "test/macro_f1")]


def _error(share: float, draws: int) -> float:
    """Return three standard errors of a share of so many draws."""
    return 3 * math.sqrt(share * (1 - share) / draws)


def _expect_a_valid_test(simulation: Simulation) -> None:
    for (law, n), share in simulation.errors.items():
        assert share <= 0.05, (law, n)
        assert n != 5 or share == 0
        drawn = simulation.drawn_errors[f"{law}, drawn", n]
        assert drawn == pytest.approx(share, abs=_error(0.05, simulation.draws * 10)), (law, n)


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
        reckoned = simulation.reckoned_power[effect.replace("simulated", "reckoned"), n]
        assert share == pytest.approx(reckoned, abs=0.02 + _error(reckoned, simulation.draws))
    assert text(simulation) == (ROOT / "docs/coverage.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("n", COVERAGE_SEEDS)
def test_in_few_draws_too_the_chosen_interval_covers(n: int) -> None:
    """A quick twin: t's share on normal scores is .95 to the error of a thousand draws."""
    shares = coverage(normal(), n, draws=QUICK, resamples=99)
    assert shares["t"] == pytest.approx(0.95, abs=_error(0.95, QUICK))
    assert n != 5 or shares["percentile"] < 0.95 - _error(0.95, QUICK)


def test_in_few_draws_too_the_test_keeps_its_level() -> None:
    """A quick twin: false positives of each law at each n, to the error of a thousand draws."""
    places = [(law, n) for law in _laws() for n in TEST_SEEDS]
    drawn = {(f"{w.name}, drawn", n): rejections(w, n, draws=QUICK, effect=0.0) for w, n in places}
    exact = {(w.name, n): false_positives(w, n, draws=5 if n > 10 else 100) for w, n in places}
    _expect_a_valid_test(Simulation(QUICK // 10, 0, {}, exact, drawn, {}, {}))
    assert max(exact.values()) > 0.049  # the test does reject


@pytest.mark.parametrize("n", [5, 6, 9])
@pytest.mark.parametrize("place", [0, 2])
def test_flips_that_reject_are_those_whose_p_is_at_the_level(n: int, place: int) -> None:
    """The report's own p of every flip, on scores with ties and without."""
    law = _laws()[place]
    generator = np.random.default_rng(3)
    sizes = law.draw(generator, (n,)) - law.draw(generator, (n,))
    signs = np.array(list(itertools.product([1, -1], repeat=n)))
    p = np.array([stats.sign_flip_p(flip) for flip in signs * sizes])
    assert rejecting_flips(sizes, 0.05) == (p <= 0.05).mean()


def test_scores_of_real_runs_keep_their_mean_and_spread() -> None:
    """The urn has the mean of the arms' means, and scores within 0 and 1."""
    import numpy

    law = real(ROOT / RUNS, "test/macro_f1")
    drawn = law.draw(numpy.random.default_rng(1), (20_000, 5))
    assert drawn.mean() == pytest.approx(law.mean, abs=4 * drawn.std() / math.sqrt(drawn.size))
    assert len(numpy.unique(drawn)) >= 20
    assert 0 < drawn.min() < drawn.max() < 1
