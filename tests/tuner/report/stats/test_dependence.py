"""Promises of the groups of runs that are independent of each other."""

from __future__ import annotations

import numpy as np
import pytest

from tuner.report import stats


@pytest.mark.parametrize(
    ("seeds", "groups"),
    [
        ([(1, 1, 9), (2, 2, 9), (3, 3, 9)], [[0], [1], [2]]),
        ([(1, 1, 9), (1, 2, 9), (2, 3, 9), (2, 4, 9)], [[0, 1], [2, 3]]),
        ([(1, 1, 9), (2, 3, 9), (2, 4, 9), (5, 1, 9)], [[0, 3], [1, 2]]),
        ([(1, 1, 1), (1, 2, 1), (2, 1, 1), (2, 2, 1)], [[0, 1, 2, 3]]),
        ([(1, 1, 1), (2, 2, 2), (3, 1, 3), (4, 2, 3)], [[0, 1, 2, 3]]),
        ([(1, 1, 1), (1, 2, 1), (1, 3, 1)], [[0], [1], [2]]),
        ([(1, 1, 1)], [[0]]),
        ([], []),
    ],
)
def test_runs_with_a_common_seed_are_one_group(
    seeds: list[tuple[int, ...]], groups: list[list[int]]
) -> None:
    """Directly or by way of others; but a source that never varies joins none."""
    assert stats.independent_groups(seeds) == groups


def test_with_groups_averaged_the_test_keeps_its_level() -> None:
    """Six init seeds of three runs each, two arms of one law: eighteen runs err far too often."""
    generator, draws = np.random.default_rng(4), 400
    seeds = [(init, 3 * init + run, 0) for init in range(6) for run in range(3)]
    groups = stats.independent_groups(seeds)
    naive = grouped = 0
    for _ in range(draws):
        shared = np.repeat(generator.normal(0, 1, (2, 6)), 3, axis=1)
        a, b = shared + generator.normal(0, 0.3, (2, 18))
        naive += stats.sign_flip_p(a - b) <= 0.05
        means = [np.mean((a - b)[group]) for group in groups]
        grouped += stats.sign_flip_p(means) <= 0.05
    assert grouped / draws <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws)
    assert naive / draws > 0.15
