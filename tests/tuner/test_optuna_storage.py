"""Optuna's storage: what is left out of an ask changes nothing."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import event

from tuner.database import Patience, name_database
from tuner.optuna_storage import PatientStorage, open_storage

_GRID = {"rate": [0.1, 0.2, 0.3], "rank": [1, 2, 3]}


def _open(folder: Path) -> PatientStorage:
    folder.mkdir()
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


def _points(storage: PatientStorage, kind: str, *, as_read: bool) -> list[dict[str, Any]]:
    """Ask for eight trials, two at a time, and tell how good they are."""
    study = optuna.create_study(storage=storage, study_name=kind)
    for number in range(0, 8, 2):
        asked = []
        for beside in range(2):
            study.sampler = _sampler(kind, number + beside)
            study.get_trials(deepcopy=False)
            with storage.as_read() if as_read else contextlib.nullcontext():
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
    whole = _points(_open(tmp_path / "whole"), kind, as_read=False)
    assert _points(_open(tmp_path / "short"), kind, as_read=True) == whole
    assert len({tuple(point.values()) for point in whole}) > len(whole) // 2


def test_an_ask_reads_no_trials_again(tmp_path: Path) -> None:
    """Not one statement about them, where Optuna alone has three readings."""
    storage = _open(tmp_path / "store")
    study = optuna.create_study(storage=storage, sampler=_sampler("tpe", 1))
    readings: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        if "trials.trial_id > " in statement:
            readings.append(statement)

    event.listen(storage.engine, "before_cursor_execute", note)
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
