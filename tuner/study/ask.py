"""Take up a trial that was left, or ask for a new one: one launcher at a time."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial

from tuner.config import STATEFUL, Cell, Value, suggest
from tuner.store.search_log import search_name
from tuner.study.optuna_storage import StudyStorage
from tuner.study.session import Session
from tuner.study.trials import Standing, stand


@dataclass(frozen=True)
class Claimed:
    """A trial that this launcher works on, with its point."""

    trial: optuna.Trial
    point: Mapping[str, Value]
    name: str
    """Of the claim."""
    adopted: bool
    """It was there before, and another launcher may have begun it."""


def study_name(cell: Cell) -> str:
    """Name a cell's Optuna study."""
    return search_name(cell.study.name, cell.label, cell.fingerprint())


def claim(
    study: optuna.Study, storage: StudyStorage, cell: Cell, session: Session
) -> Claimed | None:
    """Take up a trial that nobody is at, or ask for a new one; None if there is none to have.

    Safe to repeat: a trial that was made just before the connection was lost is one that nobody
    is at.
    """
    with storage.as_read():
        trials = study.get_trials(deepcopy=False)
        has_room = len(trials) < cell.study.search.trials or stand(trials, cell).has_room
    if not has_room:  # who waits for the last trials looks often, and need not keep others out
        standing = stand(study.get_trials(deepcopy=False), cell)
        if not (standing.has_room or _abandoned(standing, cell, session)):
            return None
    # One launcher at a time, or two would both see room for one more trial.
    with session.claims.exclusive(f"ask {study.study_name}") as turn:
        with storage.alone(sure=not turn.others):
            trials = study.get_trials(deepcopy=False)
        standing = stand(trials, cell)
        abandoned = _abandoned(standing, cell, session)
        adopted = bool(abandoned)
        if not adopted and standing.has_room:
            study.sampler = _sampler(study, cell, standing, len(trials))
            with storage.as_read():
                asked = study.ask()
                if asked.number == len(trials):  # and not one that was queued
                    name = _trial_claim(cell, asked.number)
                    turn.wanted.append(name)
                    return _give_point(asked, storage, cell, name, adopted=False)
                storage.disown(asked._trial_id)
            standing = stand(study.get_trials(deepcopy=False), cell)
            abandoned = _abandoned(standing, cell, session)
        for trial in abandoned:
            study.sampler = _sampler(study, cell, standing, trial.number)
            asked, name = optuna.Trial(study, trial._trial_id), _trial_claim(cell, trial.number)
            if session.claims.take(name, new=not adopted) is not None:
                return _give_point(asked, storage, cell, name, adopted=adopted)
    return None


def _give_point(
    asked: optuna.Trial, storage: StudyStorage, cell: Cell, name: str, *, adopted: bool
) -> Claimed:
    with storage.together():
        point = suggest(asked, cell.study.arms[cell.arm].space)
    return Claimed(asked, point, name, adopted)


def _abandoned(standing: Standing, cell: Cell, session: Session) -> list[FrozenTrial]:
    """Return the running trials that no living launcher holds."""
    held = session.claims.held() if standing.running else frozenset()
    return [t for t in standing.running if _trial_claim(cell, t.number) not in held]


def _trial_claim(cell: Cell, number: int) -> str:
    return f"trial {number} of {study_name(cell)}"


def _sampler(
    study: optuna.Study, cell: Cell, standing: Standing, number: int
) -> optuna.samplers.BaseSampler:
    """Make the sampler of one trial, seeded by cell and trial.

    A fresh seed for every trial makes a resumed search equal to an uninterrupted one; samplers
    that keep their place in the storage want the same seed throughout.
    """
    search = cell.study.search
    seed = zlib.crc32(f"{search.sampler_seed} {cell.label}".encode())
    seed += 0 if search.sampler.kind in STATEFUL else number
    grid = {k: v.grid() or [] for k, v in cell.study.arms[cell.arm].space.items()}
    beside = any(trial.number != number for trial in standing.running)
    parallel = cell.study.executor.workers > 1 or beside
    return search.sampler.build(seed % 2**32, grid=grid, parallel=parallel, before=study.sampler)
