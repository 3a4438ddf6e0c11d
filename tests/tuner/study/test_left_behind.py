"""A changed definition says what it leaves behind, before it starts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journals import enter, opened
from tests.specs import QUICK, toy_study
from tests.tuner.forecast.time.past import past_run
from trainers.contract import RunSpec
from tuner.config import Cell, dump_definition, plan
from tuner.store.definitions import open_study
from tuner.store.journal import Journal
from tuner.store.location import Store
from tuner.store.outcome import Outcome
from tuner.store.reader import JournalReader
from tuner.study.left_behind import left_behind, log_left_behind
from tuner.study.session import Configuration

CHANGED: dict[str, Any] = {"train": QUICK | {"epochs": 5}}


def track(journal: Journal, cells: tuple[Cell, ...]) -> None:
    """Enter two trials and a confirm run of every searched cell, a confirm run of the others."""
    open_study(journal, cells[0].study.name, dump_definition(cells))
    for cell in cells:
        for trial in (0, 1) if cell.searched else ():
            _enter(journal, cell, "search", trial, cell.spec(cell.study.search.seeds[0]))
        trial = 1 if cell.searched else None
        _enter(journal, cell, "confirm", trial, cell.spec(cell.study.confirm.seeds[0]))


def _enter(journal: Journal, cell: Cell, phase: Any, trial: int | None, spec: RunSpec) -> None:
    enter(journal, Configuration(cell, phase, trial).group, spec, Outcome(state="finished"))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Open the journal of an empty store."""
    with opened(tmp_path) as journal:
        yield journal


def test_a_changed_study_says_how_many_trials_and_runs_it_leaves_behind(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, in one line, with the cells and a way to see what was done."""
    caplog.set_level(logging.INFO, "tuner.study.reading")
    reader = JournalReader(journal, Store(Path()))
    track(journal, plan(toy_study()))
    now = plan(toy_study(**CHANGED))
    log_left_behind(now, reader)
    (record,) = caplog.records
    assert "Left behind: 2 search trials and 2 confirm runs" in record.message
    assert "(toy / tiny-bert / full: 2 and 1; toy / tiny-bert / head: 0 and 1)" in record.message
    (kept,) = reader.definitions("toy-study")
    assert record.message.endswith(f"tuner report toy-study --definition {kept.id}.")


@pytest.mark.parametrize(
    "changes",
    [{}, {"confirm": {"seeds": [1]}}, {"search": {"trials": 3, "seeds": [7], "pruner": "none"}}],
    ids=["the same", "fewer seeds", "more trials"],
)
def test_a_study_that_goes_on_leaves_nothing_behind(
    journal: Journal, changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does a new one, nor one that goes back to what it was."""
    caplog.set_level(logging.INFO, "tuner.study.reading")
    reader = JournalReader(journal, Store(Path()))
    log_left_behind(plan(toy_study()), reader)
    track(journal, plan(toy_study()))
    log_left_behind(plan(toy_study(**changes)), reader)
    track(journal, plan(toy_study(**CHANGED)))
    log_left_behind(plan(toy_study(**changes)), reader)
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


def test_a_renamed_arm_says_what_it_leaves_behind(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """Its runs go by its name; an arm that is only taken out leaves nothing to say."""
    caplog.set_level(logging.INFO, "tuner.study.reading")
    reader = JournalReader(journal, Store(Path()))
    track(journal, plan(toy_study()))
    arms = toy_study().model_dump(mode="json", by_alias=True)["arms"]
    log_left_behind(plan(toy_study(arms={"head": arms["head"]})), reader)
    assert not caplog.records
    log_left_behind(plan(toy_study(arms={"adapter": arms["full"], "head": arms["head"]})), reader)
    (record,) = caplog.records
    assert record.message.startswith(
        "No more in the study: toy / tiny-bert / full (2 search trials and 1 confirm run, defined "
        "as toy / tiny-bert / adapter is now). Runs go by the names"
    )
