"""Costs and their sum, against arithmetic by hand and a simulation."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy
import pytest

from tests.specs import QUICK, toy_study
from tests.tuner.forecast.time.past import cell_of, past_run
from tuner.forecast.time.cost import (
    CellCost,
    Sample,
    Work,
    cost_of_earlier,
    cost_of_probe,
    cost_of_similar,
    run_seconds,
    total_seconds,
)
from tuner.forecast.time.forecasts import Count
from tuner.forecast.time.history import CellProgress, History
from tuner.forecast.time.probe import ProbeResult
from tuner.forecast.time.run_size import TaskSize, mean_epochs, midpoint
from tuner.store.location import Store

STORE = Store(Path("nowhere"))
NONE = Count(planned=0, done=0, left=0)


def left(count: int) -> Count:
    """Return a count of runs to do."""
    return Count(planned=count, done=0, left=count)


def work(seconds: float, confirm: int, *, search: int = 0, allowance: float = 0.0) -> Work:
    """Return a cell whose runs all take the same, known for sure."""
    sample = Sample(seconds, 0.0, 0.0)
    cost = CellCost(sample, sample, sample, "earlier runs", 5, allowance, upper=False, degrees=4)
    return Work(CellProgress(left(search), NONE, left(confirm)), cost)


def test_a_run_is_converted_between_phases_by_the_rows_it_evaluates() -> None:
    """Two epochs of 50 rows of validation; confirm adds 100 of test."""
    cell = cell_of(toy_study(), "full")
    confirm, search = past_run(cell, 1), past_run(cell, 7, trial=0)
    assert run_seconds(confirm, "confirm") == pytest.approx(1 + 10 + 4 + 0.5)
    assert run_seconds(confirm, "search") == pytest.approx(1 + 10 + 4 * 100 / 200 + 0.5)
    assert run_seconds(search, "confirm") == pytest.approx(1 + 10 + 4 * 200 / 100 + 0.5)
    assert run_seconds(search, "search", epochs=4) == pytest.approx(1 + 20 + 8 + 0.5)


def test_pruned_trials_make_a_search_cheaper_and_confirm_runs_stay_as_they_are() -> None:
    """The mean over a finished trial of 15.5 s and a pruned one of 3 s and the time between."""
    cell = cell_of(toy_study(search={"trials": 2, "seeds": [7], "pruner": "median"}), "full")
    runs = (
        past_run(cell, 7, trial=0),
        past_run(cell, 7, trial=1, state="pruned", metrics={}, start=0.0, end=3.0),
    )
    cost = cost_of_earlier(cell, History(STORE, runs))
    assert cost is not None
    assert cost.search.mean == pytest.approx((15.5 + 3.5) / 2)
    assert cost.confirm.mean == pytest.approx(19.5)
    assert not cost.upper


def test_only_runs_of_the_same_definition_are_earlier_runs() -> None:
    """Others on the task and model are similar ones, whichever study they are of."""
    config = toy_study()
    cell, other = cell_of(config, "full"), cell_of(config, "head")
    history = History(STORE, (past_run(other, 1),), (past_run(other, 2),))
    assert cost_of_earlier(cell, history) is None
    similar = cost_of_similar(cell, history)
    assert similar is not None
    assert similar.based_on == 2
    assert similar.allowance > 0.3
    assert cost_of_similar(cell, History(STORE)) is None


def test_a_probe_is_extrapolated_to_all_steps_and_evaluations() -> None:
    """2 epochs of 4 steps of 0.5 s; 2 x 50 rows of validation at 1 s an epoch; 100 of test."""
    cell = cell_of(toy_study(), "full")
    size = TaskSize(train=128, validation=50, test=100, labels=3, characters=())
    measured = ProbeResult(3.0, 0.5, 0.1, 1.0, whole=True, trained=None)
    cost = cost_of_probe(cell, measured, size)
    assert cost.search.mean == pytest.approx(3 + 8 * 0.5 + 2 * 1 + 0.5)
    assert cost.confirm.mean == pytest.approx(3 + 8 * 0.5 + 2 * 1 + 2 * 1 + 0.5)
    assert cost.search.error == pytest.approx(0.1 * 4 / 9.5)
    unseen = cost_of_probe(cell, ProbeResult(3.0, 0.5, 0.1, None, whole=False, trained=None), size)
    assert unseen.search.mean == pytest.approx(3 + 4 + 100 * 0.4 * 0.5 / 32 + 0.5)
    assert unseen.allowance > cost.allowance


def test_the_middle_of_a_space_is_geometric_on_a_logarithm() -> None:
    """And a value that the range has."""
    space = {
        "train.learning_rate": {"float": [1e-4, 1e-2], "log": True},
        "train.weight_decay": {"float": [0.0, 0.1]},
        "train.batch_size": {"choice": [64, 16, 32]},
        "train.schedule": {"choice": ["linear", "cosine", "constant"]},
        "train.epochs": {"int": [2, 10], "step": 4},
    }
    cell = cell_of(toy_study(arms={"full": {"method": "full", "space": space}}), "full")
    assert midpoint(cell) == {
        "train.learning_rate": pytest.approx(1e-3),
        "train.weight_decay": pytest.approx(0.05),
        "train.batch_size": 32,
        "train.schedule": "cosine",
        "train.epochs": 6,
    }


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [
        ({"choice": [1, 2, 6]}, 3.0),
        ({"int": [2, 10]}, 6.0),
        ({"int": [2, 8], "log": True}, 6 / math.log(4)),
    ],
)
def test_searched_epochs_count_with_their_mean(
    dimension: dict[str, object], expected: float
) -> None:
    """Of a point drawn at random."""
    arm = {"method": "full", "space": {"train.epochs": dimension}}
    assert mean_epochs(cell_of(toy_study(arms={"full": arm}), "full")) == pytest.approx(expected)
    assert mean_epochs(cell_of(toy_study(train=QUICK | {"epochs": 5}), "head")) == 5


def test_cells_are_spread_over_workers_as_a_study_does() -> None:
    """In their order, each to the worker that is free first; more workers share a cell's runs."""
    cells = [work(1.0, 10), work(1.0, 4), work(1.0, 5), work(1.0, 3)]
    alone = total_seconds(cells, cells=4, workers=1, start=2.0)
    assert alone.likely == pytest.approx(2 + 22)
    two = total_seconds(cells, cells=4, workers=2, start=0.0)
    assert two.likely == pytest.approx(max(10 + 0, 4 + 5 + 3))
    # Four workers for one cell do five runs in two rounds, and three trials in one.
    assert total_seconds([work(1.0, 5)], cells=1, workers=4, start=0.0).likely == pytest.approx(2)
    shared = total_seconds([work(1.0, 5, search=3)], cells=1, workers=4, start=0.0)
    assert shared.likely == pytest.approx(3)
    # One of two cells is done: two workers still do one run of the other at a time.
    assert total_seconds([work(1.0, 5)], cells=2, workers=2, start=0.0).likely == pytest.approx(5)


def test_a_stated_allowance_widens_the_interval_by_just_that() -> None:
    """Where nothing else is uncertain."""
    span = total_seconds([work(1.0, 10, allowance=0.25)], cells=1, workers=1, start=4.0)
    assert (span.low, span.likely, span.high) == pytest.approx((4 + 7.5, 14, 4 + 12.5))


@pytest.mark.parametrize(("earlier", "spread"), [(2, 0.1), (5, 0.1), (5, 0.3), (20, 0.3)])
def test_the_interval_holds_the_true_total_in_95_of_100_studies(
    earlier: int, spread: float
) -> None:
    """Simulated: normal seconds of earlier runs and of those to come, no allowance."""
    random = numpy.random.default_rng(earlier)
    cells = [cell_of(toy_study(), arm) for arm in ("full", "head")]
    draws, held = 400, 0
    for _ in range(draws):
        past, future = [], 0.0
        for cell, mean in zip(cells, (100.0, 40.0), strict=True):
            seconds = random.normal(mean, spread * mean, earlier + 10)
            future += float(seconds[earlier:].sum()) + 10 * 0.5
            past += [
                past_run(cell, seed, metrics={"seconds/train": max(1.0, value)})
                for seed, value in enumerate(seconds[:earlier])
            ]
        history = History(STORE, tuple(past))
        costs = [cost_of_earlier(cell, history) for cell in cells]
        todo = [Work(CellProgress(NONE, NONE, left(10)), _bare(cost)) for cost in costs if cost]
        span = total_seconds(todo, cells=2, workers=1, start=0.0)
        held += span.low <= future <= span.high
    # Two standard errors of the simulation under 95%, where runs spread as usual or are many;
    # few runs that spread thrice as much are at a disadvantage.
    least = 0.95 - 2 * math.sqrt(0.95 * 0.05 / draws)
    assert held / draws >= (least if spread == 0.1 or earlier == 20 else 0.85)
    assert held / draws < 1.0


def _bare(cost: CellCost) -> CellCost:
    return replace(cost, allowance=0.0, upper=False)
