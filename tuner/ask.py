"""Take up a trial that was left, or ask for a new one: one launcher at a time."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from tuner.algorithms import STATEFUL
from tuner.plan import Cell
from tuner.session import Session
from tuner.space import Value, suggest
from tuner.trials import budgeted, counted, waiting


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
    """Name a cell's Optuna study; a cell whose definition changes gets a new one."""
    return f"{cell.study.name} / {cell.label} @ {cell.fingerprint()}"


def claim(study: optuna.Study, cell: Cell, session: Session) -> Claimed | None:
    """Take up a trial that nobody is at, or ask for a new one; None if there is none to have.

    Safe to repeat: a trial that was made just before the connection was lost is one that nobody
    is at.
    """
    if not (_abandoned(study, cell, session) or _has_room(study, cell)):
        return None
    space = cell.study.arms[cell.arm].space
    # One launcher at a time, or two would both see room for one more trial.
    with session.claims.exclusive(f"ask {study.study_name}"):
        found = _abandoned(study, cell, session)
        adopted = bool(found)
        if not found and _has_room(study, cell):
            study.sampler = _sampler(study, cell, len(study.get_trials(deepcopy=False)))
            study.ask()
            found = _abandoned(study, cell, session)
        for trial in found:
            name = _trial_claim(study, trial.number)
            if session.claims.take(name) is not None:
                study.sampler = _sampler(study, cell, trial.number)
                asked = optuna.Trial(study, trial._trial_id)
                return Claimed(asked, suggest(asked, space), name, adopted)
    return None


def _has_room(study: optuna.Study, cell: Cell) -> bool:
    return len(counted(study)) < cell.study.search.trials or waiting(study)


def _abandoned(study: optuna.Study, cell: Cell, session: Session) -> list[FrozenTrial]:
    """Return the running trials of the budget that no living launcher holds."""
    running = [t for t in budgeted(study, cell) if t.state is TrialState.RUNNING]
    held = session.claims.held() if running else frozenset()
    return [trial for trial in running if _trial_claim(study, trial.number) not in held]


def _trial_claim(study: optuna.Study, number: int) -> str:
    return f"trial {number} of {study.study_name}"


def is_spent(study: optuna.Study, cell: Cell) -> bool:
    """Say whether all trials of the budget have ended, whoever did them."""
    trials = budgeted(study, cell)
    ended = all(trial.state.is_finished() for trial in trials)
    return ended and len(trials) == cell.study.search.trials


def _sampler(study: optuna.Study, cell: Cell, number: int) -> optuna.samplers.BaseSampler:
    """Make the sampler of one trial, seeded by cell and trial.

    A fresh seed for every trial makes a resumed search equal to an uninterrupted one; samplers
    that keep their place in the storage want the same seed throughout.
    """
    search = cell.study.search
    seed = zlib.crc32(f"{search.sampler_seed} {cell.label}".encode())
    seed += 0 if search.sampler.kind in STATEFUL else number
    grid = {k: v.grid() or [] for k, v in cell.study.arms[cell.arm].space.items()}
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    parallel = cell.study.executor.workers > 1 or any(t.number != number for t in running)
    return search.sampler.build(seed % 2**32, grid=grid, parallel=parallel)
