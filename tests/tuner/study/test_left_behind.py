"""A changed definition says what it leaves behind, before it starts."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.specs import QUICK, toy_study
from tests.tuner.forecast.time.past import past_run
from trainers.contract import RunSpec
from tuner.config import Cell, dump_definition, plan
from tuner.study.left_behind import left_behind, say_left_behind
from tuner.study.session import group_of
from tuner.tracking import MemoryTracker

CHANGED: dict[str, Any] = {"train": QUICK | {"epochs": 5}}


def track(tracker: MemoryTracker, cells: tuple[Cell, ...]) -> None:
    """Enter two trials and a confirm run of every searched cell, a confirm run of the others."""
    tracker.open_study(cells[0].study.name, dump_definition(cells))
    for cell in cells:
        for trial in (0, 1) if cell.searched else ():
            _enter(tracker, cell, "search", trial, cell.spec(cell.study.search.seeds[0]))
        trial = 1 if cell.searched else None
        _enter(tracker, cell, "confirm", trial, cell.spec(cell.study.confirm.seeds[0]))


def _enter(
    tracker: MemoryTracker, cell: Cell, phase: Any, trial: int | None, spec: RunSpec
) -> None:
    group_id = tracker.open_group(group_of(cell, phase, trial), {})
    tracker.close_run(tracker.open_run(group_id, spec, adopt=False), state="finished")


def test_a_changed_study_says_how_many_trials_and_runs_it_leaves_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once, in one line, with the cells and a way to see what was done."""
    caplog.set_level(logging.INFO, "tuner.study.reading")
    tracker = MemoryTracker()
    track(tracker, plan(toy_study()))
    now = plan(toy_study(**CHANGED))
    say_left_behind(now, tracker)
    (record,) = caplog.records
    assert "Left behind: 2 search trials and 2 confirm runs" in record.message
    assert "(toy / tiny-bert / full: 2 and 1; toy / tiny-bert / head: 0 and 1)" in record.message
    (kept,) = tracker.definitions("toy-study")
    assert record.message.endswith(f"tuner report toy-study --definition {kept.id}.")


@pytest.mark.parametrize(
    "changes",
    [{}, {"confirm": {"seeds": [1]}}, {"search": {"trials": 3, "seeds": [7], "pruner": "none"}}],
    ids=["the same", "fewer seeds", "more trials"],
)
def test_a_study_that_goes_on_leaves_nothing_behind(
    changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does a new one, nor one that goes back to what it was."""
    caplog.set_level(logging.INFO, "tuner.study.reading")
    tracker = MemoryTracker()
    say_left_behind(plan(toy_study()), tracker)
    track(tracker, plan(toy_study()))
    say_left_behind(plan(toy_study(**changes)), tracker)
    track(tracker, plan(toy_study(**CHANGED)))
    say_left_behind(plan(toy_study(**changes)), tracker)
    assert caplog.records == []


def test_only_the_changed_arm_is_left_behind() -> None:
    """The others go on."""
    before = plan(toy_study())
    records = [past_run(cell, 1) for cell in before]
    arms = toy_study().model_dump(mode="json", by_alias=True)["arms"]
    arms["head"]["train"] = {"epochs": 5}
    said = left_behind(plan(toy_study(arms=arms)), records)
    assert "0 search trials and 1 confirm run " in said
    assert "(toy / tiny-bert / head: 0 and 1)" in said


def test_a_renamed_arm_says_what_it_leaves_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Its runs go by its name; an arm that is only taken out leaves nothing to say."""
    caplog.set_level(logging.INFO, "tuner.study.reading")
    tracker = MemoryTracker()
    track(tracker, plan(toy_study()))
    arms = toy_study().model_dump(mode="json", by_alias=True)["arms"]
    say_left_behind(plan(toy_study(arms={"head": arms["head"]})), tracker)
    assert not caplog.records
    say_left_behind(plan(toy_study(arms={"adapter": arms["full"], "head": arms["head"]})), tracker)
    (record,) = caplog.records
    assert record.message.startswith(
        "No more in the study: toy / tiny-bert / full (2 search trials and 1 confirm run, defined "
        "as toy / tiny-bert / adapter is now). Runs go by the names"
    )
