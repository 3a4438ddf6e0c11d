"""Optuna's storage: what is left out of an ask changes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event

from tuner.store.database import Outage, Patience, name_database
from tuner.study.optuna_storage import StudyStorage, open_storage

_GRID = {"rate": [0.1, 0.2, 0.3], "rank": [1, 2, 3]}


def _open(folder: Path, *, again: bool = False) -> StudyStorage:
    folder.mkdir(exist_ok=again)
    url = f"sqlite:///{folder / 'optuna.db'}"
    return open_storage(url, Patience(name_database(url)))


def _sampler(kind: str, number: int) -> optuna.samplers.BaseSampler:
    """A sampler as a study makes it: a new one for each trial."""
    made: dict[str, Any] = {
        "tpe": lambda: optuna.samplers.TPESampler(
            seed=number, n_startup_trials=3, multivariate=True, constant_liar=True
        ),
        "cmaes": lambda: optuna.samplers.CmaEsSampler(seed=1, n_startup_trials=2),
        "grid": lambda: optuna.samplers.GridSampler(_GRID, seed=1),
        "qmc": lambda: optuna.samplers.QMCSampler(seed=1),
    }
    sampler: optuna.samplers.BaseSampler = made[kind]()
    return sampler


def _points(storage: StudyStorage, kind: str, *, short: bool) -> list[dict[str, Any]]:
    """Ask for eight trials, two at a time, and tell how good they are."""
    study = optuna.create_study(storage=storage, study_name=kind)
    for number in range(0, 8, 2):
        asked = []
        for beside in range(2):
            study.sampler = _sampler(kind, number + beside)
            with storage.alone(sure=short and (number, beside) != (0, 0)):
                study.get_trials(deepcopy=False)
            with storage.as_read() if short else contextlib.nullcontext():
                trial = study.ask()
                asked.append(
                    (trial, trial.suggest_float("rate", 0, 1) + trial.suggest_int("rank", 1, 3))
                )
        study.sampler = optuna.samplers.RandomSampler()  # at its end a grid stops the study
        for trial, value in asked:
            study.tell(trial, value)
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("kind", ["tpe", "cmaes", "grid", "qmc"])
def test_trials_taken_as_read_give_the_same_points(tmp_path: Path, kind: str) -> None:
    """Within an ask nothing changes that a sampler asks for; from one to the next all does."""
    whole = _points(_open(tmp_path / "whole"), kind, short=False)
    assert _points(_open(tmp_path / "short"), kind, short=True) == whole
    assert len({tuple(point.values()) for point in whole}) > len(whole) // 2


def test_what_is_known_of_own_trials_is_what_is_stored(tmp_path: Path) -> None:
    """Every kind of value, and the ways in which a trial can end."""
    storage = _open(tmp_path / "store")
    study = optuna.create_study(storage=storage, study_name="own")
    ends = {TrialState.COMPLETE: 0.5, TrialState.PRUNED: None, TrialState.FAIL: None}
    for state, value in ends.items():
        trial = study.ask()
        trial.suggest_float("rate", 1e-5, 1e-1, log=True)
        trial.suggest_int("rank", 1, 7, step=2)
        trial.suggest_categorical("target", ["query", None, 3, True])
        trial.set_user_attr("reason", ("it", "was", "slow"))
        trial.set_constraint("cap", -1.5)
        for step, score in enumerate([0.25, float("nan"), 1]):
            trial.report(score, step)
        _assert_known(storage, trial)
        study.tell(trial, value, state=state)
        _assert_known(storage, trial)
    study.ask()
    with storage.alone(sure=True):
        known = study.get_trials()
    assert repr(known[3]) == repr(_stored(storage, known[3]))
    for trial in known[:3]:
        assert _without_end(trial) == _without_end(_stored(storage, trial))


def test_a_launcher_that_is_alone_reads_no_trials(tmp_path: Path) -> None:
    """Until another has one that goes on, or may have one."""
    storage, other = _open(tmp_path / "store"), _open(tmp_path / "store", again=True)
    study = optuna.create_study(storage=storage, study_name="shared")
    theirs = optuna.load_study(storage=other, study_name="shared")
    readings = _readings(storage)
    study.tell(study.ask(), 1.0)
    asked = study.ask()
    readings.clear()
    assert _numbers(study, storage, sure=True) == [0, 1]
    assert readings == []
    foreign = theirs.ask()
    assert _numbers(study, storage, sure=True) == [0, 1]  # who says so has to know
    assert _numbers(study, storage, sure=False) == [0, 1, 2]
    readings.clear()
    theirs.tell(foreign, 2.0)
    with storage.alone(sure=True):
        assert study.get_trials()[2].state is TrialState.COMPLETE
    assert len(readings) == 1
    study.tell(asked, 3.0)
    with storage.alone(sure=True):
        assert study.get_trials()[1].values == [3.0]
    assert len(readings) == 1


def test_a_trial_that_may_have_been_made_is_looked_for(tmp_path: Path) -> None:
    """The connection was lost before the database could answer; another cell asks meanwhile."""
    storage = _open(tmp_path / "store")
    study = optuna.create_study(storage=storage, study_name="lost")
    other = optuna.create_study(storage=storage, study_name="another cell")
    study.tell(study.ask(), 1.0)
    assert _numbers(study, storage, sure=False) == [0]
    with _answer_lost("_create_new_trial"), pytest.raises(Outage):
        study.ask()
    assert _numbers(other, storage, sure=False) == []
    assert _numbers(study, storage, sure=True) == [0, 1]


def test_an_end_whose_answer_was_lost_is_an_end(tmp_path: Path) -> None:
    """It is written again, and found written."""
    storage = _open(tmp_path / "store")
    study = optuna.create_study(storage=storage, study_name="ended")
    trial = study.ask()
    with _answer_lost("set_trial_state_values"):
        study.tell(trial, 1.0)
    assert study.trials[0].values == [1.0]


@contextlib.contextmanager
def _answer_lost(step: str) -> Iterator[None]:
    """Let the first call of Optuna's step be done, and its answer be lost."""
    call = getattr(RDBStorage, step)
    lost: list[str] = []

    def do(*arguments: Any, **options: Any) -> Any:
        answer = call(*arguments, **options)
        if not lost:
            lost.append(step)
            raise Outage("gone")
        return answer

    with mock.patch.object(RDBStorage, step, do):
        yield
    assert lost


def test_an_ask_reads_no_trials_again(tmp_path: Path) -> None:
    """Not one statement about them, where Optuna alone has three readings."""
    storage = _open(tmp_path / "store")
    study = optuna.create_study(storage=storage, sampler=_sampler("tpe", 1))
    readings = _readings(storage)
    for number in range(5):
        trial = study.ask()
        study.tell(trial, trial.suggest_float("rate", 0, 1))
        if number == 3:
            readings.clear()
    assert len(readings) == 3
    study.get_trials(deepcopy=False)
    readings.clear()
    with storage.as_read():
        study.ask().suggest_float("rate", 0, 1)
    assert readings == []
    assert len(study.get_trials(deepcopy=False)) == 6


def test_the_parameters_of_a_trial_are_one_transaction(tmp_path: Path) -> None:
    """Written again as a whole where the connection is lost; not at all if sampling fails."""
    storage = _open(tmp_path / "store")
    study = optuna.create_study(storage=storage, study_name="together")
    trial = study.ask()
    done: list[str] = []
    event.listen(storage.engine, "before_cursor_execute", lambda *a: done.append(a[2][:6]))
    event.listen(storage.engine, "commit", lambda _: done.append("commit"))
    with _answer_lost("_set_trial_param_without_commit"), storage.together():
        point = [trial.suggest_float("rate", 0, 1), trial.suggest_int("rank", 1, 7)]
        point.append(trial.suggest_categorical("target", ["query", "value"]))
        assert "INSERT" not in done
        done.clear()
    assert done.count("commit") == 1
    assert done[-1] == "commit"
    _assert_known(storage, trial)
    stored = _stored(storage, storage.get_trial(trial._trial_id))
    assert [stored.params[name] for name in ("rate", "rank", "target")] == point
    other = study.ask()
    with contextlib.suppress(ValueError), storage.together():
        other.suggest_float("rate", 0, 1)
        other.suggest_float("decay", 1, 0)
    assert _stored(storage, storage.get_trial(other._trial_id)).params == {}


def _readings(storage: StudyStorage) -> list[str]:
    """Return a list that gets every statement that reads what is new of a study's trials."""
    readings: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        if "trials.trial_id > " in statement:
            readings.append(statement)

    event.listen(storage.engine, "before_cursor_execute", note)
    return readings


def _numbers(study: optuna.Study, storage: StudyStorage, *, sure: bool) -> list[int]:
    with storage.alone(sure=sure):
        return [trial.number for trial in study.get_trials(deepcopy=False)]


def _stored(storage: StudyStorage, trial: FrozenTrial) -> FrozenTrial:
    return RDBStorage.get_trial(storage, trial._trial_id)


def _without_end(trial: FrozenTrial) -> str:
    """All of a trial but for the moment of its end, which two clocks tell."""
    trial.datetime_complete = None
    return repr(trial)


def _assert_known(storage: StudyStorage, trial: optuna.Trial) -> None:
    statements: list[str] = []
    event.listen(storage.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    known = storage.get_trial(trial._trial_id)
    assert statements == []
    assert _without_end(known) == _without_end(_stored(storage, known))
