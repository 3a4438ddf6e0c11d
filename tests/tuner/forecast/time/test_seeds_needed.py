"""Seeds needed, from the spread that records show, against numpy and the statistics."""

from __future__ import annotations

import math

import numpy
import pytest

from tests.specs import toy_study
from tests.tuner.forecast.time.past import cell_of, past_run
from tuner.config import StudyConfig
from tuner.forecast.time.seeds_needed import seeds_of
from tuner.report import seeds_to_detect
from tuner.store.records import RunRecord

RANDOM = numpy.random.default_rng(5)
SCORES = {arm: RANDOM.normal(0.8, 0.05, 6) for arm in ("full", "head", "lora")}


def study(**changes: object) -> StudyConfig:
    """Return a study of three arms."""
    return toy_study(arms={arm: {"method": arm} for arm in SCORES}, **changes)


def records(config: StudyConfig) -> list[RunRecord]:
    """Return confirm runs with known scores; one seed is lacking in an arm."""
    return [
        past_run(cell_of(config, arm), seed, metrics={"test/macro_f1": float(score)})
        for arm, scores in SCORES.items()
        for seed, score in enumerate(scores)
        if (arm, seed) != ("lora", 5)
    ]


def test_the_spread_is_that_of_differences_over_common_seeds() -> None:
    """The widest and the middle pair, with the seeds that the statistics want for each."""
    config = study()
    found = seeds_of(config, records(config), 0.03, None)
    stds = {
        (a, b): float(numpy.std((SCORES[a] - SCORES[b])[: 5 if "lora" in (a, b) else 6], ddof=1))
        for a, b in (("full", "head"), ("full", "lora"), ("head", "lora"))
    }
    median, largest = sorted(stds.values())[1:]
    (block,) = found.blocks
    assert (found.source, found.comparisons, block.pairs) == ("confirm runs", 3, 3)
    assert block.largest.std_difference == pytest.approx(largest)
    assert block.median.std_difference == pytest.approx(median)
    assert stds[block.largest.arm_a, block.largest.arm_b] == pytest.approx(largest)
    assert block.largest.n == (5 if "lora" in (block.largest.arm_a, block.largest.arm_b) else 6)
    assert block.largest.seeds == seeds_to_detect(largest, 0.03, comparisons=3)
    assert block.median.seeds == seeds_to_detect(median, 0.03, comparisons=3)


def test_the_order_of_runs_changes_nothing() -> None:
    """Nor do runs of an arm that the study has no more, or of an older definition."""
    config = study()
    found = seeds_of(config, records(config), 0.03, None)
    old = study(train={"epochs": 9})
    more = [past_run(cell_of(old, arm), 9, metrics={"test/macro_f1": 0.1}) for arm in SCORES]
    older = [run.model_copy(update={"start": 0.0}) for run in [*records(old), *more[1:]]]
    gone = past_run(cell_of(toy_study(arms={"ia3": {"method": "ia3"}}), "ia3"), 1)
    assert seeds_of(config, [*reversed(records(config)), *older, gone], 0.03, None) == found


def test_before_confirm_runs_the_search_seeds_tell() -> None:
    """Within trials: both arms' variances add up; a single seed tells nothing."""
    config = study()
    values = {"full": [[0.7, 0.8], [0.5, 0.52]], "head": [[0.4, 0.6]], "lora": [[0.3]]}
    runs = [
        past_run(cell_of(config, arm), seed, trial=trial, metrics={"validation/macro_f1": score})
        for arm, trials in values.items()
        for trial, scores in enumerate(trials)
        for seed, score in enumerate(scores)
    ]
    found = seeds_of(config, runs, 0.03, None)
    (block,) = found.blocks
    full = (numpy.var([0.7, 0.8], ddof=1) + numpy.var([0.5, 0.52], ddof=1)) / 2
    expected = math.sqrt(full + numpy.var([0.4, 0.6], ddof=1))
    assert (found.source, block.pairs, block.largest.n) == ("search runs", 1, 2)
    assert block.largest.std_difference == pytest.approx(expected)


def test_nothing_seen_is_said_and_a_given_spread_is_taken_for_both_arms() -> None:
    """Independent arms: the difference varies by the root of two as much."""
    found = seeds_of(study(), [], 0.01, 0.01)
    assert (found.source, found.blocks) == (None, ())
    assert found.given_seeds == seeds_to_detect(0.01 * math.sqrt(2), 0.01, comparisons=3)
    assert seeds_of(study(), [], 0.01, None).given_seeds is None


def test_one_arm_has_nothing_to_compare() -> None:
    """No comparison, no seeds."""
    found = seeds_of(toy_study(arms={"full": {"method": "full"}}), [], 0.01, 0.01)
    assert (found.comparisons, found.given_seeds) == (0, None)
