"""Optuna's samplers and pruners by the name a study gives them."""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import model_validator

from trainers.errors import ConfigError, SeveralFaults, known, nearest, one_line, shown
from trainers.plugins import Written
from tuner.config.optuna_options import EPOCHS_TRIED, check_options, try_pruner, try_sampler
from tuner.config.spaces import Value

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
_LATE = ("n_warmup_steps", "min_resource", "min_early_stopping_rate")
"""Options that delay a pruner's first decision to a later epoch."""
_STARTUP_TRIALS, _REDUCTION_FACTOR, _P_THRESHOLD = 5, 4, 0.1
"""Optuna's defaults: of the median pruner, of successive halving, of wilcoxon."""
STATEFUL = ("grid", "qmc", "cmaes")
"""Samplers that keep their state in the storage and need one seed for the whole study."""


class Algorithm(Written):
    """A sampler or a pruner: a name, or a mapping of `kind` and Optuna's own options for it."""

    CLASSES: ClassVar[Mapping[str, str]] = {}
    """Optuna's classes, by kind."""

    kind: str
    """Name."""
    options: Mapping[str, Value] = {}
    """Keyword arguments of Optuna's class."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        if isinstance(value, str):
            return {"kind": value}
        if value is None or isinstance(value, bool | int | float | list):
            way = "; to do without, write none" if cls is Pruner and not value else ""
            raise ConfigError(f"expected a name or a mapping with `kind`, got {shown(value)}{way}")
        if isinstance(value, Mapping) and "options" not in value:
            rest = {key: inner for key, inner in value.items() if key != "kind"}
            _check_plain(rest)
            kind = {"kind": value["kind"]} if "kind" in value else {}
            return kind | {"options": rest}
        return value

    @model_validator(mode="after")
    def _works(self) -> Self:
        if self.kind not in self.CLASSES:
            hint = nearest(self.kind, self.CLASSES)
            raise ConfigError(f"no such kind {self.kind!r}; known: {known(self.CLASSES)}{hint}")
        if self.options:
            check_options(self.kind, self._class(), self.options)
            self._check_by_trial()
        return self

    @abstractmethod
    def _class(self) -> Callable[..., Any]:
        """Return Optuna's class."""

    @abstractmethod
    def _try(self) -> None:
        """Use it in a few trials; Optuna raises if an option is invalid."""

    def _check_by_trial(self) -> None:
        """Refuse options with which Optuna fails: each that fails alone, or else all together."""
        together = _failure(type(self), self.kind, *self.options.items())
        if together:
            alone = {n: _failure(type(self), self.kind, (n, v)) for n, v in self.options.items()}
            raise SeveralFaults(
                [
                    f"{name}: got {shown(self.options[name])}, with which {self.kind} fails: {why}"
                    for name, why in alone.items()
                    if why
                ]
                or [f"{self.kind} fails with these options together: {together}"]
            )


@lru_cache(maxsize=256, typed=True)
def _failure(made: type[Algorithm], kind: str, *options: tuple[str, Value]) -> str:
    """Return how Optuna fails with options, "" if it does not; tried once a process.

    A report reads the same options in every definition that its store keeps.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            made.model_construct(kind=kind, options=dict(options))._try()
    except Exception as error:  # of any class, an AssertionError too
        return one_line(error)
    return ""


class Sampler(Algorithm):
    """A sampler."""

    CLASSES: ClassVar = SAMPLERS

    def _class(self) -> Callable[..., BaseSampler]:
        import optuna

        made: Callable[..., BaseSampler] = getattr(optuna.samplers, SAMPLERS[self.kind])
        return made

    def _try(self) -> None:
        if self.kind in ("gp", "qmc"):  # they load torch and scipy; types and bounds are enough
            return
        start = {"n_startup_trials": 2} if self.kind in ("tpe", "cmaes") else {}
        early = self.model_copy(update={"options": {**self.options, **start}})
        try_sampler(early.build(0, grid={}, parallel=False))

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
            before: The sampler of the previous trial of the same study. Its knowledge of the
                search space is taken over, which Optuna would gather from all trials again.
        """
        import optuna

        options: dict[str, Any] = dict(self.options) | {"seed": seed}
        if self.kind == "grid":
            options["search_space"] = grid
        if self.kind == "tpe":
            options.setdefault("constant_liar", parallel)
        made: BaseSampler = self._class()(**options)
        learned = vars(before) if type(before) is type(made) else {}
        for name, value in learned.items():
            if isinstance(value, optuna.search_space.IntersectionSearchSpace):
                setattr(made, name, value)
        return made


class Pruner(Algorithm):
    """A pruner."""

    CLASSES: ClassVar = PRUNERS

    def _class(self) -> Callable[..., BasePruner]:
        import optuna

        made: Callable[..., BasePruner] = getattr(optuna.pruners, PRUNERS[self.kind])
        return made

    def _try(self) -> None:
        if self.kind == "wilcoxon":  # it loads scipy.stats; bounds are enough for its options
            return
        start = {"n_startup_trials": 1} if self.kind == "median" else {}
        early = self.model_copy(update={"options": {**self.options, **start}})
        try_pruner(early.build(EPOCHS_TRIED))

    def build(self, epochs: int) -> BasePruner:
        """Make Optuna's pruner for trainings of at most `epochs` epochs."""
        options: dict[str, Any] = dict(self.options)
        if self.kind == "hyperband":
            options.setdefault("max_resource", epochs)
        return self._class()(**options)

    def check(self, *, seeds: int, trials: int, epochs: int) -> None:
        """Refuse options with which it can never stop a trial.

        Args:
            seeds: Number of seeds of a trial.
            trials: Number of trials of a search.
            epochs: Epochs of the longest training.

        Raises:
            ConfigError: The message names an allowed value.
        """
        if self.kind == "wilcoxon":
            self._check_pairs(seeds)
        least, most = self._number("min_resource", 1), self._number("max_resource", math.inf)
        if most < least:
            raise ConfigError(
                f"search.pruner.max_resource: got {most}, with which hyperband can stop no trial; "
                f"allowed: min_resource, {least}, or more"
            )
        late = self._idle_epochs(epochs)
        if late and epochs > 1 and self.options.keys() & _LATE:
            raise ConfigError(f"search.pruner: {late}")
        waits = self._idle_trials(trials)
        if waits and trials > 1 and "n_startup_trials" in self.options:
            raise ConfigError(f"search.pruner: {waits}")

    def remark(self, *, trials: int, epochs: int) -> str:
        """Return why it can stop no trial in so small a search; "" if it can."""
        return self._idle_epochs(epochs) or self._idle_trials(trials)

    def _check_pairs(self, seeds: int) -> None:
        """Refuse a Wilcoxon test of so few pairs that its smallest p is above the threshold.

        A trial is compared before its last seed; n pairs give a one-sided p of 2^-n at least.
        """
        threshold = self._number("p_threshold", _P_THRESHOLD)
        fewest = max(2, int(self._number("n_startup_steps", 2)))
        enough = fewest + 1
        while 2.0 ** (1 - enough) >= threshold:
            enough += 1
        pairs = seeds - 1
        if seeds >= enough:
            return
        least = f", whose smallest p is {2.0**-pairs:g}" if pairs else ""
        above = f"p_threshold above {2.0**-pairs:g}" if pairs >= fewest else ""
        more = f"{enough} search.seeds at least"
        raise ConfigError(
            f"search.pruner: wilcoxon can stop no trial: {seeds} search.seeds make at most "
            f"{pairs} pair{'s' * (pairs != 1)} before the last seed{least}, and p_threshold is "
            f"{threshold:g}; allowed: {' or '.join(filter(None, (more, above)))}"
        )

    def _idle_epochs(self, epochs: int) -> str:
        """Return that its first decision comes too late to stop a training; "" if it does not."""
        if self.kind == "median":
            first = max(1, int(self._number("n_warmup_steps", 0)))
        else:
            rungs = self._number("min_early_stopping_rate", 0)  # of successive halving alone
            step = self._number("reduction_factor", _REDUCTION_FACTOR) ** rungs
            first = int(self._number("min_resource", 1) * step)
        if self.kind in ("none", "wilcoxon") or first < epochs:
            return ""
        given = [key for key in self.options if key in _LATE]
        allowed = f"more epochs than {first}"
        if given and epochs > 1:
            allowed += f", or a lower {' or '.join(given)}"
        return (
            f"{self.kind} can stop no trial: it first looks after epoch {first}, and a training "
            f"has {epochs} epoch{'s' * (epochs != 1)}; allowed: {allowed}"
        )

    def _number(self, option: str, default: float) -> float:
        value = self.options.get(option)
        return value if isinstance(value, int | float) else default

    def _idle_trials(self, trials: int) -> str:
        """Return that it waits for as many finished trials as there are; "" if it does not."""
        wanted = int(self._number("n_startup_trials", _STARTUP_TRIALS))
        if self.kind != "median" or wanted < trials:
            return ""
        return (
            f"median can stop no trial: it waits for {wanted} finished trials, and search.trials "
            f"is {trials}; allowed: n_startup_trials below search.trials"
        )


def _check_plain(options: Mapping[str, object]) -> None:
    """Refuse lists and mappings, in one line each; pydantic has a line for each plain type."""
    faults = [
        f"{name}: got {shown(value)}; allowed: a text, a number, true, false or null"
        for name, value in options.items()
        if not isinstance(value, bool | int | float | str | None)
    ]
    if faults:
        raise SeveralFaults(faults)
