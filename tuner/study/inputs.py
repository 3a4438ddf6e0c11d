"""Read the inputs of a study: its tasks' rows and classes; check that its models exist."""

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
from tuner.study.reading import ReadLengths, log_rows, log_warmups

_SHOWN = 8


@dataclass
class Inputs:
    """The inputs of a study, and their errors."""

    digests: dict[str, Digests] = field(default_factory=dict)
    """Digests of the rows of each task that could be read."""
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Classes of each task that could be read."""
    unusable_models: set[str] = field(default_factory=set)
    """Names of models that do not exist or cannot be looked up."""
    log_calls: list[Callable[[], None]] = field(default_factory=list)
    """Functions that log findings on the rows; called by `log`."""
    errors: list[TunerError] = field(default_factory=list)
    """All errors, in the order of the study."""

    @property
    def faults(self) -> list[str]:
        """Return the errors that hold on any machine."""
        return [str(error) for error in self.errors if not isinstance(error, _ELSEWHERE)]

    @property
    def missing(self) -> list[str]:
        """Return the data and models that are not on this machine, and so were not checked."""
        return [str(error) for error in self.errors if isinstance(error, _ELSEWHERE)]

    def log(self, lengths: ReadLengths | None = None) -> None:
        """Log the findings; call it after all checks, so that an error is printed alone."""
        for log_call in self.log_calls:
            log_call()
        if lengths is not None:
            lengths.log()

    def refuse(self) -> None:
        """Raise an error if there are any.

        Raises:
            TunerError: A single error, or several in a ConfigError, a line each.
        """
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            raise SeveralFaults(map(str, self.errors))


_ELSEWHERE = (MissingData, MissingModel)


def read_inputs(config: StudyConfig, data_dir: Path | None) -> Inputs:
    """Read and survey every task, and look for every model without loading it.

    Args:
        config: The study.
        data_dir: Folder of the tasks' files; None: read no task and send no request.
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
    seeds = sorted({s.data for s in config.every_seed()})
    for task in config.tasks:
        try:
            digests, surveys = {}, {}
            for seed in seeds:
                data = load_task(task, data_dir, seed)
                digests[seed], surveys[seed] = data.digests, survey_rows(data)
        except TunerError as error:
            found.errors.append(error)
            continue
        found.log_calls.append(partial(log_rows, task.name, surveys))
        found.log_calls.append(partial(log_warmups, config, task.name, len(data.train)))
        found.digests[task.name], found.labels[task.name] = digests, data.labels
    found.errors += map(ConfigError, check_metric(config, found.labels))
    return found


def _note(found: Inputs, check: Callable[[], None]) -> bool:
    """Return whether a check passes; else keep its error."""
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
    """Return a list of names, those first that are most like another one."""
    ordered = difflib.get_close_matches(asked, names, n=len(names), cutoff=0.0)
    shown = ", ".join(ordered[:_SHOWN])
    return f"{shown}, ... ({len(names)} classes)" if len(names) > _SHOWN else shown
