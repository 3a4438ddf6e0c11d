"""Optuna's samplers as a study makes them: a new one for each trial."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.search_space import IntersectionSearchSpace

from tuner.algorithms import Sampler

_GRID: dict[str, Any] = {"rate": [0.1, 0.2, 0.3, 0.4], "rank": [1, 2, 3]}


def _points(kind: str, *, hand_over: bool) -> tuple[list[dict[str, Any]], set[int]]:
    """Return twelve trials' points, and which search spaces the samplers had learned."""
    study = optuna.create_study()
    start = {} if kind == "grid" else {"n_startup_trials": 3}
    chosen = Sampler(kind=kind, options=start)
    learned: dict[int, Any] = {}
    for number in range(12):
        before = study.sampler if hand_over else None
        study.sampler = chosen.build(number, grid=_GRID, parallel=False, before=before)
        for value in vars(study.sampler).values():
            if isinstance(value, IntersectionSearchSpace):
                learned[id(value)] = value  # held, so that no two have the same id
        trial = study.ask()
        rate, rank = trial.suggest_float("rate", 0, 1), trial.suggest_int("rank", 1, 3)
        ended = optuna.trial.TrialState.PRUNED if number % 5 == 4 else None
        if kind == "grid":
            study.sampler = optuna.samplers.RandomSampler()  # at its end a grid stops the study
        study.tell(trial, None if ended else rate + rank, state=ended)
    return [trial.params for trial in study.trials], set(learned)


@pytest.mark.parametrize("kind", ["tpe", "gp", "cmaes", "grid"])
def test_a_search_space_that_is_handed_over_changes_no_point(kind: str) -> None:
    """It is learned once, where each sampler would look through all trials for it."""
    alone, many = _points(kind, hand_over=False)
    handed, few = _points(kind, hand_over=True)
    assert handed == alone
    if kind != "grid":
        assert (len(many), len(few)) == (12, 1)
