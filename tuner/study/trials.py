"""Say which trials of a cell's search count, and which of them is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from tuner.config import Cell, Value

MEMORY_CAP = "memory_cap"
"""Constraint of a trial: the bytes by which its predicted memory is over the study's cap."""
STATE = "state"
"""User attribute beside it: pruned, diverged or failed."""
REASON = "reason"
"""User attribute of a trial that was told to have failed or been pruned."""


@dataclass(frozen=True)
class Best:
    """The configuration that a search chose."""

    trial: int
    point: Mapping[str, Value]


def best_of(study: optuna.Study, cell: Cell) -> Best | None:
    """Choose among the completed trials of the budget: on several aims, the Pareto set's first."""
    done = [
        t
        for t in budgeted(study.get_trials(deepcopy=False), cell)
        if t.state is TrialState.COMPLETE
    ]
    if not done:
        return None
    ways = [objective.way() for objective in cell.study.objectives()]
    signs = [-1.0 if way == "maximize" else 1.0 for way in ways]

    def costs(trial: FrozenTrial) -> tuple[float, ...]:
        return tuple(sign * value for sign, value in zip(signs, trial.values, strict=True))

    # The smallest cost, ties broken by the next aim, cannot be dominated.
    best = min(done, key=lambda trial: (costs(trial), trial.number))
    return Best(best.number, best.params)


@dataclass(frozen=True)
class Standing:
    """Where a cell's search stands."""

    running: Sequence[FrozenTrial]
    """Trials that are going on, or were left by a launcher that died."""
    counted: int
    """Trials that the budget counts: all but those that died with their launcher."""
    ended: int
    """Of the trials of the budget, those that have ended."""
    queued: bool
    """A trial waits, such as one of a dead launcher's that is to be done again."""
    budget: int

    @property
    def has_room(self) -> bool:
        """Say whether one more trial may begin."""
        return self.queued or self.counted < self.budget

    @property
    def is_spent(self) -> bool:
        """Say whether all trials of the budget have ended, whoever did them."""
        return self.ended == self.budget


def stand(trials: Sequence[FrozenTrial], cell: Cell) -> Standing:
    """Look at a search's trials, once: there may be thousands.

    The budget's trials are the first, should the study have been given less since.
    """
    running, counted, ended, queued = [], 0, 0, False
    budget = cell.study.search.trials
    for trial in trials:
        state = trial.state
        if state is TrialState.FAIL and REASON not in trial.user_attrs:
            continue
        queued = queued or state is TrialState.WAITING
        if counted < budget:
            if state is TrialState.RUNNING:
                running.append(trial)
            elif state is not TrialState.WAITING:
                ended += 1
        counted += 1
    return Standing(running, counted, ended, queued, budget)


def budgeted(trials: Sequence[FrozenTrial], cell: Cell) -> list[FrozenTrial]:
    """Return the first trials that count, up to the budget."""
    counted = [t for t in trials if t.state is not TrialState.FAIL or REASON in t.user_attrs]
    return counted[: cell.study.search.trials]
