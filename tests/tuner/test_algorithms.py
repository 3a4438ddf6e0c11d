"""Optuna's samplers as a study makes them: a new one for each trial."""

from __future__ import annotations

import warnings
from typing import Any

import optuna
import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.search_space import IntersectionSearchSpace

from tests.specs import QUICK, toy_study
from tuner.algorithms import Pruner, Sampler

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


@pytest.mark.parametrize(
    ("search", "epochs", "says"),
    [
        ({"pruner": "hyperband"}, 1, "search.pruner: of full: hyperband can stop no trial: it"),
        ({"pruner": {"kind": "median", "n_warmup_steps": 1}, "trials": 9}, 1, "more epochs than"),
        ({"pruner": "median", "trials": 5}, 3, "it waits for 5 finished trials"),
        ({"pruner": "median", "trials": 6}, 3, ""),
        ({"pruner": "hyperband"}, 2, ""),
        ({"pruner": "successive_halving"}, 2, ""),
        ({"pruner": "none"}, 1, ""),
        ({"pruner": "wilcoxon", "seeds": [7, 8, 9, 10, 11]}, 1, ""),
        ({"pruner": {"kind": "wilcoxon", "p_threshold": 0.2}, "seeds": [7, 8, 9, 10]}, 1, ""),
    ],
)
def test_a_pruner_that_so_small_a_search_makes_idle_is_named(
    search: dict[str, Any], epochs: int, says: str
) -> None:
    """It is no mistake, as where a study is tried with one epoch first, but it is said."""
    study = toy_study(train=QUICK | {"epochs": epochs}, search={"seeds": [7], **search})
    said = study.remarks()
    assert len(said) == (1 if says else 0)
    assert says in "".join(said)


@pytest.mark.parametrize("pairs", [2, 3, 4, 5])
def test_the_smallest_p_of_so_many_pairs_is_optunas_own(pairs: int) -> None:
    """Optuna's pruner stops a trial that is worse on every seed just above that p, not at it."""
    for threshold, stops in ((2.0**-pairs, False), (2.0**-pairs + 1e-6, True)):
        options = {"p_threshold": threshold}
        with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
            study = optuna.create_study(pruner=Pruner(kind="wilcoxon", options=options).build(1))
        for worse in (0.0, 1.0):
            trial = study.ask()
            for step in range(pairs):
                trial.report(step + worse * (step + 1), step)
            stopped = trial.should_prune()
            if not worse:
                study.tell(trial, 0.0)
        assert stopped == stops
