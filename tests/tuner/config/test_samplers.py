"""Optuna's samplers as a study makes them: a new one for each trial."""

from __future__ import annotations

import warnings
from typing import Any

import optuna
import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.search_space import IntersectionSearchSpace
from pydantic import ValidationError

from tests.specs import QUICK, toy_study, toy_tree
from trainers.errors import ConfigError
from tuner.config.load import parse_study
from tuner.config.optuna_options import options_of
from tuner.config.samplers import PRUNERS, SAMPLERS, Pruner, Sampler

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


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"kind": "tpe", "constraints_func": "x"}, r"\.constraints_func: no such field; known: c"),
        ({"kind": "tpe", "gamma": 3}, r"\.gamma: no such field; known: (?!.*(gamma|weights))"),
        ({"kind": "tpe", "n_ei_candidates": 0}, r"\.n_ei_candidates: .* equal to 1, got 0$"),
        ({"kind": "tpe", "n_ei_candidates": 10**9}, r"less than or equal to 100000, got 10*$"),
        ({"kind": "tpe", "n_ei_candidates": "many"}, r"a valid integer, got 'many'$"),
        ({"kind": "tpe", "prior_weight": -1}, r"\.prior_weight: .* greater than 0, got -1$"),
        ({"kind": "tpe", "n_startup_trials": -5}, r"\.n_startup_trials: .* to 0, got -5$"),
        ({"kind": "tpe", "multivariate": "maybe"}, r"true or false, got 'maybe'$"),
        ({"kind": "tpe", "group": True, "multivariate": False}, r": tpe fails with these"),
        ({"kind": "cmaes", "sigma0": -1}, r"\.sigma0: .* greater than 0, got -1$"),
        ({"kind": "cmaes", "popsize": 1}, r"\.popsize: .* equal to 2, got 1$"),
        ({"kind": "cmaes", "restart_strategy": "ipop"}, r"\.restart_strategy: no such field"),
        ({"kind": "gp", "independent_sampler": "x"}, r"\.independent_sampler: no such field"),
        ({"kind": "qmc", "qmc_type": "x"}, r"\.qmc_type: .*'sobol' or 'halton', got 'x'$"),
        ({"kind": "random", "n_startup_trials": 3}, r"no such field; random has no options$"),
        ({"kind": "hyperband", "reduction_factor": 1}, r"factor: .* equal to 2, got 1$"),
        ({"kind": "hyperband", "min_resource": 0}, r"\.min_resource: .* equal to 1, got 0$"),
        ({"kind": "hyperband", "max_resource": 10**400}, r"\.max_resource: got 10.*, with which"),
        ({"kind": "hyperband", "min_resource": 2, "max_resource": 1}, r"\.max_resource: got 1, w"),
        ({"kind": "hyperband", "bootstrap_count": -1}, r"\.bootstrap_count: .* to 0, got -1$"),
        ({"kind": "successive_halving", "min_resource": "x"}, r"got 'x'; allowed: auto, or a wh"),
        ({"kind": "successive_halving", "min_early_stopping_rate": 10**9}, r"to 20, got 10*$"),
        ({"kind": "median", "n_startup_trials": 2.5}, r"a valid integer, got 2\.5$"),
        ({"kind": "wilcoxon", "p_threshold": 1}, r"\.p_threshold: .* less than 1, got 1$"),
        ({"kind": "wilcoxon", "p_threshold": -1}, r"\.p_threshold: .* greater than 0, got -1$"),
    ],
    ids=str,
)
def test_an_option_that_fails_in_the_search_is_refused_before(
    part: dict[str, Any], says: str
) -> None:
    """Optuna looks at most of its options when it first uses them, which is after a training."""
    key = "pruner" if part["kind"] in PRUNERS else "sampler"
    search = {"seeds": [7], "pruner": "none"} | {key: part}
    with pytest.raises(ConfigError, match=rf"^study: search\.{key}.*{says}") as caught:
        parse_study(toy_tree(search=search))
    assert "\n" not in str(caught.value)


_VALUES = (None, True, False, "auto", "sobol", -1, 0, 1, 2, 3, 100, 10**9, 0.5, 1.0, -0.5, 1e300)


def _every_option(table: dict[str, str], module: Any) -> list[tuple[str, str]]:
    classes = {kind: getattr(module, name) for kind, name in table.items()}
    return [(k, name) for k, made in classes.items() for name in options_of(made).model_fields]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "option"), _every_option(SAMPLERS, optuna.samplers))
def test_whatever_value_a_samplers_option_is_given_it_is_refused_or_works(
    kind: str, option: str
) -> None:
    """Among the values that YAML can write some are taken, and with those no trial fails."""
    taken = []
    for value in _VALUES:
        start = {"n_startup_trials": 2} if kind != "qmc" else {}
        try:
            chosen = Sampler.model_validate({"kind": kind} | start | {option: value})
        except ValidationError:
            continue
        taken.append(value)
        study = optuna.create_study()
        for number in range(4 if kind == "gp" else 30):
            study.sampler = chosen.build(number, grid={}, parallel=False, before=study.sampler)
            trial = study.ask()
            rate, rank = trial.suggest_float("rate", 0, 1), trial.suggest_int("rank", 1, 3)
            study.tell(trial, rate + rank)
    assert 0 < len(taken) < len(_VALUES)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "option"), _every_option(PRUNERS, optuna.pruners))
def test_whatever_value_a_pruners_option_is_given_it_is_refused_or_works(
    kind: str, option: str
) -> None:
    """Among the values that YAML can write some are taken, and with those no epoch fails."""
    taken = []
    for value in _VALUES:
        start = {"min_resource": 1} if option == "bootstrap_count" else {}
        try:
            chosen = Pruner.model_validate({"kind": kind} | start | {option: value})
        except ValidationError:
            continue
        taken.append(value)
        trials, epochs = (3, 4) if kind == "wilcoxon" else (10, 20)
        study = optuna.create_study(pruner=chosen.build(epochs))
        for number in range(trials):
            trial = study.ask()
            for epoch in range(epochs):
                trial.report(number - epoch, epoch)
                trial.should_prune()
            study.tell(trial, number)
    assert 0 < len(taken) < len(_VALUES)


def test_options_are_tried_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    """Optuna warns of options that are new or old, and tells of every study that it makes."""
    level = optuna.logging.get_verbosity()
    for options in ({"prior_weight": 0.5}, {"group": True, "multivariate": True}):
        Sampler.model_validate({"kind": "tpe", **options})
    Sampler.model_validate({"kind": "cmaes", "sigma0": 0.5, "with_margin": True})
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == level
