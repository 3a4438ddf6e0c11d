"""Optuna's samplers and pruners by the name a study gives them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from trainers.errors import ConfigError, UnknownField, known
from trainers.plugins import Frozen
from tuner.space import Value

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

SAMPLERS = {
    "tpe": "TPESampler",
    "gp": "GPSampler",
    "cmaes": "CmaEsSampler",
    "random": "RandomSampler",
    "grid": "GridSampler",
    "qmc": "QMCSampler",
}
PRUNERS = {
    "none": "NopPruner",
    "hyperband": "HyperbandPruner",
    "median": "MedianPruner",
    "successive_halving": "SuccessiveHalvingPruner",
    "wilcoxon": "WilcoxonPruner",
}
STATEFUL = ("grid", "qmc", "cmaes")
"""Samplers that keep their place in the storage and want one seed for the whole study."""


class Algorithm(Frozen):
    """A sampler or a pruner: a name, or a mapping of `kind` and Optuna's own options for it."""

    kind: str
    """Name."""
    options: Mapping[str, Value] = {}
    """Keyword arguments of Optuna's class."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        if isinstance(value, str):
            return {"kind": value}
        if isinstance(value, Mapping) and "options" not in value:
            rest = {key: inner for key, inner in value.items() if key != "kind"}
            kind = {"kind": value["kind"]} if "kind" in value else {}
            return kind | {"options": rest}
        return value


class Sampler(Algorithm):
    """A sampler."""

    @model_validator(mode="after")
    def _exists(self) -> Sampler:
        _check(self, SAMPLERS, "optuna.samplers")
        return self

    def build(
        self,
        seed: int,
        *,
        grid: Mapping[str, list[Value]],
        parallel: bool,
        before: BaseSampler | None = None,
    ) -> BaseSampler:
        """Make Optuna's sampler.

        Args:
            seed: Seed of its random generator.
            grid: Every value of every dimension, for the grid sampler.
            parallel: Several trials of the study run at once.
            before: The sampler of the trial before in the same study. What it has learned of the
                search space is taken over; it would be looked for in all trials again.
        """
        import optuna

        options: dict[str, Any] = dict(self.options) | {"seed": seed}
        if self.kind == "grid":
            options["search_space"] = grid
        if self.kind == "tpe":
            options.setdefault("constant_liar", parallel)
        make: Callable[..., BaseSampler] = getattr(optuna.samplers, SAMPLERS[self.kind])
        made = make(**options)
        learned = vars(before) if type(before) is type(made) else {}
        for name, value in learned.items():
            if isinstance(value, optuna.search_space.IntersectionSearchSpace):
                setattr(made, name, value)
        return made


class Pruner(Algorithm):
    """A pruner."""

    @model_validator(mode="after")
    def _exists(self) -> Pruner:
        _check(self, PRUNERS, "optuna.pruners")
        return self

    def build(self, epochs: int) -> BasePruner:
        """Make Optuna's pruner for trainings of at most `epochs` epochs."""
        import optuna

        options: dict[str, Any] = dict(self.options)
        if self.kind == "hyperband":
            options.setdefault("max_resource", epochs)
        make: Callable[..., BasePruner] = getattr(optuna.pruners, PRUNERS[self.kind])
        return make(**options)


def _check(algorithm: Algorithm, table: Mapping[str, str], module: str) -> None:
    if algorithm.kind not in table:
        raise ConfigError(f"no such kind {algorithm.kind!r}; known: {known(table)}")
    if not algorithm.options:
        return
    import importlib

    made = getattr(importlib.import_module(module), table[algorithm.kind])
    allowed = set(inspect.signature(made).parameters) - {"seed", "search_space"}
    for option in algorithm.options:
        if option not in allowed:
            raise UnknownField(option, allowed)
    try:
        made(**algorithm.options, **({"search_space": {}} if algorithm.kind == "grid" else {}))
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from error
