"""What goes wrong in a study: a cell that cannot run, a run that diverges, a run that fails."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from tests.journals import opened, topics
from tests.launchers import ranks_of
from tests.specs import QUICK, toy_study
from tests.tuner.study.test_study import Place
from trainers.errors import RunFailed, RunKilled
from trainers.models.tiny import Tiny
from tuner.config import read_definition, read_executor
from tuner.executors import MOST_KILLS
from tuner.store.attempts import Attempts
from tuner.study.failures import TooManyFailures
from tuner.study.progress import RunNotice
from tuner.study.run import StudyOutcome
from tuner.tracking import open_reader

RATE = {"float": [1e-4, 1e-2], "log": True}
ONCE = QUICK | {"epochs": 1}
WIDE = {"method": "full", "train": {"optimizer": "sgd", "max_grad_norm": 0.0}}
"""Diverges at a rate of 1e30."""
HEAD = {"method": "head"}


@pytest.fixture
def place(empty_store: Path) -> Place:
    """Make an empty store."""
    return Place(empty_store)


def _watch(notices: list[RunNotice]) -> Any:
    return lambda notice: notices.append(notice) if notice.state != "running" else None


@pytest.mark.parametrize("sampler", ["grid", "tpe", "random"])
def test_a_trial_that_diverges_is_an_answer_and_the_search_goes_on(
    place: Place, sampler: str
) -> None:
    """More points of a wide range diverge than runs may fail: the study is done all the same."""
    rates = [1e30, 1e31, 1e32, 3e-3]
    config = toy_study(
        train=ONCE,
        search={"trials": 4, "seeds": [7], "pruner": "none", "sampler": sampler},
        confirm={"seeds": [1]},
        arms={"wide": {**WIDE, "space": {"train.learning_rate": {"choice": rates}}}},
        max_failures=0,
    )
    notices: list[RunNotice] = []
    outcome = place.run(config, watch=_watch(notices))
    trials = place.trials(config, "wide")
    diverged = [trial for trial in trials if trial.user_attrs.get("state") == "diverged"]
    assert len(trials) == 4
    assert diverged
    assert {trial.state for trial in diverged} == {TrialState.PRUNED}
    assert all("is nan" in trial.user_attrs["reason"] for trial in diverged)
    states = Counter(r.state for r in place.records() if r.group.phase == "search")
    assert states["diverged"] == len(diverged)
    assert Counter(notice.state for notice in notices)["diverged"] == len(diverged)
    if sampler == "grid":  # the others may not come to the good point
        assert len(diverged) == 3
        assert outcome.exit_code == 0
        assert outcome.failures == ()


def test_a_cell_whose_trials_all_diverge_is_given_up_and_the_others_go_on(place: Place) -> None:
    """It ends with the reason, the arm after it gets its runs; again when it is started anew."""
    rates = [1e30, 1e31, 1e32]
    config = toy_study(
        train=ONCE,
        search={"trials": 3, "seeds": [7], "pruner": "none", "sampler": "grid"},
        confirm={"seeds": [1]},
        arms={
            "wide": {**WIDE, "space": {"train.learning_rate": {"choice": rates}}},
            "head": HEAD,
        },
        max_failures=0,
    )
    for _ in range(2):
        outcome = place.run(config)
        (line,) = outcome.failures
        assert line.startswith("toy / tiny-bert / wide: no trial finished: 3 diverged; the last: ")
        assert "train/loss is nan" in line
        assert outcome.unfinished == ("toy / tiny-bert / wide",)
        assert outcome.exit_code == 1
    confirmed = {r.group.arm for r in place.records() if r.group.phase == "confirm"}
    assert confirmed == {"head"}


def test_a_confirm_run_that_diverges_is_shown_as_such_and_not_done_again(place: Place) -> None:
    """It is no failure that ends the study, and its missing score is not passed over."""
    arms = {"wide": {**WIDE, "train": {**WIDE["train"], "learning_rate": 1e30}}, "head": HEAD}
    config = toy_study(train=ONCE, confirm={"seeds": [1, 2]}, arms=arms, max_failures=0)
    for again in (False, True):
        notices: list[RunNotice] = []
        outcome = place.run(config, watch=_watch(notices))
        assert len(outcome.failures) == 2
        assert all("diverged: train/loss is nan at step 2" in line for line in outcome.failures)
        assert outcome.unfinished == ()
        assert outcome.exit_code == 1
        assert {notice.reused for notice in notices} == {again}
    states = {r.group.arm: r.state for r in place.records()}
    assert states == {"wide": "diverged", "head": "finished"}


@pytest.mark.parametrize("space", [{}, {"train.learning_rate": RATE}])
def test_what_cannot_be_built_ends_its_cell_once(
    place: Place, tmp_path: Path, space: dict[str, Any]
) -> None:
    """One run says why, searched or not; the other cells get theirs; so it is at every start."""
    broken = tmp_path / "broken"
    Tiny().model(("a", "b"), "sdpa").save_pretrained(broken)
    Tiny().tokenizer().save_pretrained(broken)
    with (broken / "model.safetensors").open("r+b") as file:
        file.truncate(2_000)
    config = toy_study(
        train=ONCE,
        search={"trials": 2, "seeds": [7], "pruner": "none"},
        confirm={"seeds": [1, 2]},
        models=[{"kind": "hub", "id": str(broken), "name": "broken"}, "tiny-bert"],
        arms={"head": {**HEAD, "space": space}},
        max_failures=0,
    )
    for starts in (1, 2):
        outcome = place.run(config)
        (line,) = outcome.failures
        assert line.startswith("toy / broken / head: broken: SafetensorError: ")
        assert outcome.exit_code == 1
        assert outcome.unfinished == ("toy / broken / head",)
        failed = [r for r in place.records() if r.group.model == "broken"]
        assert [r.state for r in failed] == ["failed"] * starts
        assert all("SafetensorError" in r.reason for r in failed)
    confirmed = [r for r in place.records() if r.group.phase == "confirm"]
    assert sum(r.state == "finished" for r in confirmed) == 2


def test_a_point_that_cannot_be_built_is_an_answer_and_the_search_goes_on(place: Place) -> None:
    """Of a range too wide to be tried whole; the best of the others is confirmed, in one start."""
    config = toy_study(
        train=ONCE,
        search={"trials": 4, "seeds": [7], "pruner": "none", "sampler": "random"},
        confirm={"seeds": [1]},
        arms={
            "c3a": {
                "method": {"kind": "peft_any", "type": "C3A"},
                "space": {"method.config.block_size": {"int": [1, 32]}},
            }
        },
        max_failures=0,
    )
    outcome = place.run(config)
    assert outcome == StudyOutcome(failures=(), unfinished=())
    states = Counter((r.group.phase, r.state) for r in place.records())
    assert states["search", "failed"] >= 1
    assert states["search", "finished"] + states["search", "failed"] == 4
    assert states["confirm", "finished"] == 1


def test_two_runs_that_fail_alike_are_a_fault_of_their_cell(place: Place) -> None:
    """What breaks every run of a cell costs two runs, and does not end the study."""

    def fail(notice: RunNotice) -> None:
        if notice.cell.arm == "full" and notice.event is not None:
            raise RunFailed("IndexError: index out of range in self")

    config = toy_study(
        train=ONCE, search={"trials": 8, "seeds": [7], "pruner": "none"}, max_failures=2
    )
    outcome = place.run(config, watch=fail)
    assert outcome.failures == ("toy / tiny-bert / full: IndexError: index out of range in self",)
    assert Counter((r.group.arm, r.state) for r in place.records()) == {
        ("full", "failed"): 2,
        ("head", "finished"): 2,
    }


def test_too_many_failures_stop_the_study_with_the_last_reason(place: Place) -> None:
    """`max_failures: 1` tolerates one."""

    def fail(notice: RunNotice) -> None:
        if notice.event is not None:
            raise RunFailed(f"accident {notice.seed}")

    with pytest.raises(
        TooManyFailures, match=r"2 runs failed, max_failures is 1; the last: .*accident 2"
    ):
        place.run(toy_study(arms={"head": HEAD}, max_failures=1), watch=fail)
    kept = read_definition(open_reader(place.root).study_yaml("toy-study"))
    assert kept is not None
    assert kept.ended == "more runs failed than max_failures"  # what a later report says


def test_a_found_run_that_was_measured_another_way_is_done_again(place: Place) -> None:
    """Else the objective would have no value; and where no run can have it, the cell says so."""
    search: dict[str, Any] = {"trials": 1, "seeds": [7], "pruner": "none", "sampler": "random"}
    space = {"train.learning_rate": {"choice": [3e-3]}}
    aims = {"objectives": ["macro_f1", "memory/train/allocator_bytes"]}
    options: dict[str, Any] = {
        "train": ONCE,
        "confirm": {"seeds": [1]},
        "arms": {"head": {**HEAD, "space": space}},
    }
    place.run(toy_study(search=search, **options))
    without = toy_study(name="without", search=search | aims, **options)
    (line,) = place.run(without).failures
    assert "no run has 'memory/train/allocator_bytes'" in line
    notices: list[RunNotice] = []
    config = toy_study(name="with", search=search | aims, measure="allocator", **options)
    assert place.run(config, watch=_watch(notices)).failures == ()
    assert [(n.phase, n.reused) for n in notices] == [("search", False), ("confirm", True)]
    assert [trial.state for trial in place.trials(config, "head")] == [TrialState.COMPLETE]
    # It is done again once the cell can be: nobody holds its ticket.
    assert [trial.state for trial in place.trials(without, "head")] == [TrialState.RUNNING]
    with opened(place.root) as journal:
        (topic,) = (name for name in topics(place.root) if name.startswith("tickets without / "))
        assert Attempts(journal, topic).held() == frozenset()


@pytest.mark.parametrize(("kills", "state"), [(2, "finished"), (MOST_KILLS, "failed")])
def test_a_run_whose_process_is_killed_is_done_again_and_fails_the_third_time(
    place: Place, kills: int, state: str
) -> None:
    """One kill says nothing about the run; three may be the kernel's, for want of memory."""
    config = toy_study(
        train=ONCE,
        confirm={"seeds": [1]},
        arms={"head": HEAD},
        executor={"kind": "process", "threads": 1},
    )
    starts = 0

    def kill(notice: RunNotice) -> None:
        nonlocal starts
        if notice.event and notice.event.kind == "start":
            starts += 1
            for process in ranks_of() if starts <= kills else ():
                process.kill()

    outcome = place.run(config, watch=kill)
    states = [run.state for run in place.records()]
    assert states == ["killed", "killed", state]
    assert outcome.exit_code == (state == "failed")
    assert all("was ended by SIGKILL" in line for line in outcome.failures)


def test_what_is_computed_beside_runs_is_computed_again_where_its_process_is_killed(
    tmp_path: Path,
) -> None:
    """A lost prediction of memory would be missing in the report of a study that is whole."""
    executor = read_executor("process").open()
    try:
        assert executor.compute(_killed_at_first, tmp_path / "mark") == "computed"
        with pytest.raises(RunKilled):
            executor.compute(_killed_at_first, tmp_path / "absent" / "mark")
    finally:
        executor.close()


def _killed_at_first(mark: Path) -> str:
    if mark.exists():
        return "computed"
    if mark.parent.exists():
        mark.touch()
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError
