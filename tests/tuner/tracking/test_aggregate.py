"""Summaries over runs equal an independent computation."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy import stats

from tuner.tracking.aggregate import aggregate


def test_the_summary_equals_numpys_and_scipys() -> None:
    """Mean, sample deviation, n and the 95% t interval."""
    values = [0.81, 0.79, 0.84, 0.9, 0.77]
    found = aggregate([{"test/accuracy": value} for value in values])
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert found == pytest.approx(
        {
            "test/accuracy_mean": np.mean(values),
            "test/accuracy_std": np.std(values, ddof=1),
            "test/accuracy_n": 5,
            "test/accuracy_ci_low": low,
            "test/accuracy_ci_high": high,
        }
    )


def test_one_value_has_no_spread() -> None:
    """At n = 1 there is a mean and nothing about noise; no rows give nothing."""
    assert aggregate([{"loss": 2.0}]) == {"loss_mean": 2.0, "loss_n": 1.0}
    assert aggregate([]) == {}


def test_a_metric_counts_the_rows_that_have_it() -> None:
    """A run without the metric is no zero."""
    found = aggregate([{"a": 1.0, "b": 4.0}, {"a": 3.0}])
    assert (found["a_mean"], found["a_n"]) == (2.0, 2.0)
    assert (found["b_mean"], found["b_n"]) == (4.0, 1.0)


def test_the_order_of_runs_does_not_matter() -> None:
    """Shuffled rows give bit-equal sums, so a resumed study's parent is not logged again."""
    rows = [{"a": random.Random(seed).random() * 10**seed} for seed in range(12)]
    expected = aggregate(rows)
    for seed in range(5):
        assert aggregate(random.Random(seed).sample(rows, len(rows))) == expected
