"""Say which trials of a cell's search count, and which of them is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from tuner.plan import Cell
from tuner.space import Value

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


def budgeted(trials: Sequence[FrozenTrial], cell: Cell) -> list[FrozenTrial]:
    """Return the first trials up to the budget, should the study have been given less since."""
    return counted(trials)[: cell.study.search.trials]


def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that the budget counts: all but those that died with their launcher."""
    return [t for t in trials if t.state is not TrialState.FAIL or REASON in t.user_attrs]


def has_room(trials: Sequence[FrozenTrial], cell: Cell) -> bool:
    """Say whether the budget has room for one more, or a dead launcher's is queued again."""
    queued = any(trial.state is TrialState.WAITING for trial in trials)
    return queued or len(counted(trials)) < cell.study.search.trials


def is_spent(study: optuna.Study, cell: Cell) -> bool:
    """Say whether all trials of the budget have ended, whoever did them."""
    trials = budgeted(study.get_trials(deepcopy=False), cell)
    ended = all(trial.state.is_finished() for trial in trials)
    return ended and len(trials) == cell.study.search.trials
