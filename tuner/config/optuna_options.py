"""Options of Optuna's samplers and pruners: types, bounds, and a try in a small search."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import BeforeValidator, Field, create_model

from trainers.errors import ConfigError, SeveralFaults, shown
from trainers.plugins import Written

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

_LEFT_OUT = ("seed", "search_space", "restart_strategy", "inc_popsize")
"""Options that a study sets elsewhere, or that Optuna ignores."""
_KINDS = {"bool": bool, "int": int, "float": float, "str": str, "None": None}
"""Types that YAML can write, by Optuna's annotations; functions are not among them."""
_NUMBERS = ("int", "float")
_MANY = 100_000
"""Most candidates, or members of a population: more would exhaust the memory."""
_BOUNDS: Mapping[str, Mapping[str, float]] = {
    "n_startup_trials": {"ge": 0},
    "n_ei_candidates": {"ge": 1, "le": _MANY},
    "prior_weight": {"gt": 0},
    "sigma0": {"gt": 0},
    "popsize": {"ge": 2, "le": _MANY},
    "min_resource": {"ge": 1},
    "reduction_factor": {"ge": 2},
    "min_early_stopping_rate": {"ge": 0, "le": 20},
    "bootstrap_count": {"ge": 0},
    "n_warmup_steps": {"ge": 0},
    "interval_steps": {"ge": 1},
    "n_min_trials": {"ge": 1},
    "p_threshold": {"gt": 0, "lt": 1},
    "n_startup_steps": {"ge": 0},
}
_TRIALS = 12
EPOCHS_TRIED = 9
"""Epochs of each trial that a pruner is tried with."""


@cache
def options_of(made: Callable[..., object]) -> type[Written]:
    """Return a model of the options of one of Optuna's classes that a study can write.

    Bounds that Optuna checks late, or never, are checked here.
    """
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(made).parameters.items():
        kinds = inspect.formatannotation(parameter.annotation).strip("'").split(" | ")
        if name not in _LEFT_OUT and set(kinds) <= _KINDS.keys():
            fields[name] = (_type(name, kinds), None)
    return create_model("Options", __base__=Written, **fields)


def _type(name: str, kinds: Sequence[str]) -> Any:
    if {"int", "str"} <= set(kinds):
        return Annotated[Any, BeforeValidator(_read_resource)]
    if name == "qmc_type":
        return Literal["sobol", "halton"]
    bounds: Any = _BOUNDS.get(name, {})
    number = Field(strict=True, **bounds)
    types = [Annotated[_KINDS[k], number] if k in _NUMBERS else _KINDS[k] for k in kinds]
    return Union[tuple(types)]  # noqa: UP007  # which is made here


def _read_resource(value: object) -> object:
    if value != "auto" and (type(value) is not int or value < 1):
        raise ConfigError(f"got {shown(value)}; allowed: auto, or a whole number from 1")
    return value


def check_options(kind: str, made: Callable[..., object], options: Mapping[str, object]) -> None:
    """Check each option by itself.

    Args:
        kind: The study's name for the sampler or pruner.
        made: Optuna's class.
        options: The study's other keys of it.

    Raises:
        SeveralFaults: This kind has no options.
        pydantic.ValidationError: An option is unknown, of a wrong type, or out of bounds.
    """
    model = options_of(made)
    if not model.model_fields:
        raise SeveralFaults(f"{name}: no such field; {kind} has no options" for name in options)
    model.model_validate(options)


def try_sampler(sampler: BaseSampler) -> None:
    """Let a sampler choose the points of a few trials; it raises if an option is invalid."""
    with _study(sampler=sampler) as study:
        for _ in range(_TRIALS):
            trial = study.ask()
            rate = trial.suggest_float("rate", 1e-5, 1e-2, log=True)
            rank = trial.suggest_int("rank", 1, 16)
            study.tell(trial, rate * rank + len(trial.suggest_categorical("bias", ["no", "all"])))


def try_pruner(pruner: BasePruner) -> None:
    """Let a pruner see the epochs of a few trials; it raises if an option is invalid."""
    with _study(pruner=pruner) as study:
        for number in range(_TRIALS):
            trial = study.ask()
            for epoch in range(EPOCHS_TRIED):
                trial.report(number + epoch, epoch)
                trial.should_prune()
            study.tell(trial, number)


@contextmanager
def _study(**parts: Any) -> Iterator[Any]:
    """Make a study in memory, with Optuna's messages silenced."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        yield optuna.create_study(**parts)
    finally:
        optuna.logging.set_verbosity(level)
