"""Promises of the simulated verdicts: their errors, in few draws."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench import verdicts

DRAWS = 400
WORST = 0.05 + 3 * math.sqrt(0.05 * 0.95 / DRAWS)


@pytest.mark.parametrize("n", verdicts.SEEDS)
def test_no_verdict_on_normal_differences_errs_in_more_than_5_of_100_studies(n: int) -> None:
    """To three Monte Carlo errors; at the mean that makes each verdict wrong."""
    for world in verdicts.normal_worlds(n, std=1.0):
        found = verdicts.shares(world, DRAWS)
        assert sum(found.values()) == pytest.approx(1.0)
        assert all(found[kind] <= WORST for kind in world.false), world.name


def test_the_rows_error_is_what_keeps_equal_arms_from_being_told_apart() -> None:
    """On one sample of test rows, seeds alone are too sure."""
    few, *_ = verdicts.row_worlds()
    alone = list(verdicts.row_worlds())[1]
    assert verdicts.shares(few, DRAWS)["different"] <= WORST
    assert verdicts.shares(alone, DRAWS)["different"] > 0.2


def test_the_page_names_each_world_and_its_command() -> None:
    """The page in docs is of all worlds; which verdicts are wrong there is in bold."""
    page = "\n".join(verdicts.text(2, "python -m bench.verdicts"))
    kept = (Path(__file__).parents[2] / "docs/verdicts.md").read_text()
    names = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    assert [line.split("|")[1] for line in kept.splitlines() if line.startswith("| ")] == names
    assert page.count("**") == kept.count("**")
