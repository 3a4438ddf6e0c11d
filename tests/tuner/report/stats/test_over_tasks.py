"""Two arms over tasks: against scipy's own tests, and by simulation."""

from __future__ import annotations

import math

import numpy
import pytest
from scipy import stats as scipy_stats

from tuner.report import stats


def task(differences: numpy.ndarray, *, row_error: float = math.nan, apart: bool = False):
    """Return what was seen on one task."""
    return stats.TaskDifference(
        float(differences.mean()),
        float(differences.std(ddof=1)),
        len(differences),
        row_error,
        apart,
    )


def test_two_tasks_are_welchs_test() -> None:
    """The mean of two tasks is half the difference of one and the other with its sign turned."""
    draws = numpy.random.default_rng(3)
    a, b = draws.normal(0.5, 1, 6), draws.normal(1.5, 3, 9)
    found = stats.on_these_tasks([task(a), task(b)], margin=0.2, level=0.05)
    welch = scipy_stats.ttest_ind(a, -b, equal_var=False)
    assert found.freedom == pytest.approx(welch.df)
    interval = welch.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low / 2, interval.high / 2))


def test_tasks_like_them_are_a_t_test_over_the_means() -> None:
    """From five tasks on."""
    draws = numpy.random.default_rng(4)
    seen = [draws.normal(draws.normal(1, 2), 1, 5) for _ in range(7)]
    tasks = [task(one) for one in seen]
    found = stats.on_tasks_like_them(tasks, margin=0.0, level=0.02)
    assert found is not None
    expected = scipy_stats.ttest_1samp([one.mean() for one in seen], 0).confidence_interval(0.98)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert stats.on_tasks_like_them(tasks[:4], margin=0.0, level=0.02) is None


def test_the_intervals_cover_what_they_speak_of() -> None:
    """95% of them: the mean of these tasks, and the mean of all such tasks."""
    draws = numpy.random.default_rng(5)
    centers = [-2.0, 0.0, 1.0, 1.5, 4.0]
    hits = numpy.zeros(2)
    rounds = 1500
    for _ in range(rounds):
        fixed = [task(draws.normal(c, 0.5 + abs(c), 5)) for c in centers]
        these = stats.on_these_tasks(fixed, margin=0.0, level=0.05)
        drawn = [task(draws.normal(draws.normal(1, 2), 1, 5)) for _ in centers]
        like = stats.on_tasks_like_them(drawn, margin=0.0, level=0.05)
        assert like is not None
        hits += these.low <= numpy.mean(centers) <= these.high, like.low <= 1 <= like.high
    assert hits / rounds == pytest.approx([0.95, 0.95], abs=0.02)


def test_the_rows_widen_the_interval_and_a_task_apart_or_a_collapse_forbid_equivalence() -> None:
    """Equal on the mean is not equal on every task."""
    near = numpy.array([0.01, -0.01, 0.02, -0.02, 0.0])
    alike = [task(near), task(-near)]
    found = stats.on_these_tasks(alike, margin=1.0, level=0.05)
    assert found.kind == "equivalent within the margin"
    noisy = [task(near, row_error=0.3), task(-near, row_error=0.4)]
    wider = stats.on_these_tasks(noisy, margin=1.0, level=0.05)
    assert wider.high == pytest.approx(scipy_stats.norm.ppf(0.975) * 0.25, rel=0.01)
    apart = [task(near + 5, apart=True), task(near - 5, apart=True)]
    assert stats.on_these_tasks(apart, margin=1.0, level=0.05).kind == "open"
    fallen = stats.on_these_tasks(alike, margin=1.0, level=0.05, collapsed=True)
    assert fallen.kind == "open"


def test_ratios_have_a_geometric_mean() -> None:
    """Half on one task and twice on another is as much."""
    assert stats.geometric_mean([0.5, 2.0]) == pytest.approx(1)
    assert stats.geometric_mean([0.3, 0.7, 1.1]) == pytest.approx(
        scipy_stats.gmean([0.3, 0.7, 1.1])
    )
