"""Read what a study names: its tasks' rows and classes; look whether its models are there."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from trainers.data import load_task, survey_rows
from trainers.deepspeed import check_installed
from trainers.errors import ConfigError, MissingData, MissingModel, SeveralFaults, TunerError
from trainers.train import metric_names
from tuner.config import Digests, StudyConfig
from tuner.study.reading import ReadLengths, say_rows, say_warmups

_SHOWN = 8


@dataclass
class Inputs:
    """What was read for a study, and what was found wrong with it."""

    digests: dict[str, Digests] = field(default_factory=dict)
    """Of the rows of each task that could be read."""
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Classes of each task that could be read."""
    unusable_models: set[str] = field(default_factory=set)
    """Names of models that are not there, or cannot be looked up."""
    sayings: list[Callable[[], None]] = field(default_factory=list)
    """Log what was found in the rows; to be called by `say`."""
    errors: list[TunerError] = field(default_factory=list)
    """All that is wrong, in the order of the study."""

    @property
    def faults(self) -> list[str]:
        """Return what is wrong wherever the study runs."""
        return [str(error) for error in self.errors if not isinstance(error, _ELSEWHERE)]

    @property
    def missing(self) -> list[str]:
        """Return what is not on this machine, and so was not looked at."""
        return [str(error) for error in self.errors if isinstance(error, _ELSEWHERE)]

    def say(self, lengths: ReadLengths | None = None) -> None:
        """Log what was read; after all that refuses, for a refusal is to stand alone."""
        for saying in self.sayings:
            saying()
        if lengths is not None:
            lengths.say()

    def refuse(self) -> None:
        """Go on if nothing is wrong.

        Raises:
            TunerError: The one error, or all of them in a ConfigError, a line each.
        """
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            raise SeveralFaults(map(str, self.errors))


_ELSEWHERE = (MissingData, MissingModel)


def read_inputs(config: StudyConfig, data_dir: Path | None) -> Inputs:
    """Read and survey every task, and look for every model that need not be loaded.

    Args:
        config: The study.
        data_dir: Where the tasks' files are; None: no task is read, no server asked.
    """
    found = Inputs()
    # A cluster's nodes have an environment of their own.
    if not config.executor.elsewhere and any(map(config.deepspeed_of, config.arms)):
        _note(found, check_installed)
    for model in config.models:
        if not _note(found, partial(model.check, ask=data_dir is not None)):
            found.unusable_models.add(model.name)
    if data_dir is None:
        return found
    seeds = sorted({s.data for s in (*config.search.seeds, *config.confirm.seeds)})
    for task in config.tasks:
        try:
            digests, surveys = {}, {}
            for seed in seeds:
                data = load_task(task, data_dir, seed)
                digests[seed], surveys[seed] = data.digests, survey_rows(data)
        except TunerError as error:
            found.errors.append(error)
            continue
        found.sayings.append(partial(say_rows, task.name, surveys))
        found.sayings.append(partial(say_warmups, config, task.name, len(data.train)))
        found.digests[task.name], found.labels[task.name] = digests, data.labels
    found.errors += map(ConfigError, check_metric(config, found.labels))
    return found


def _note(found: Inputs, check: Callable[[], None]) -> bool:
    """Return whether a check is passed; else note why."""
    try:
        check()
    except TunerError as error:
        found.errors.append(error)
        return False
    return True


def check_metric(config: StudyConfig, labels: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the faults of the study's metric and objectives, given the classes of each task."""
    asked = {"metric": config.metric}
    aims = config.search.objectives
    asked |= {f"search.objectives.{n}.metric": aim.metric for n, aim in enumerate(aims)}
    return tuple(
        f"{key}: {task} has no class {metric.removeprefix('f1/')!r}; allowed: "
        f"{_closest(metric, [f'f1/{label}' for label in classes])}, accuracy, macro_f1, micro_f1, "
        "loss"
        for key, metric in asked.items()
        for task, classes in labels.items()
        if metric.startswith("f1/") and metric not in metric_names(classes)
    )


def _closest(asked: str, names: Sequence[str]) -> str:
    """List names, those first that look like the one that was asked for."""
    ordered = difflib.get_close_matches(asked, names, n=len(names), cutoff=0.0)
    shown = ", ".join(ordered[:_SHOWN])
    return f"{shown}, ... ({len(names)} classes)" if len(names) > _SHOWN else shown
