"""Records of a store's runs, curves and definitions, and the contract of readers."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from trainers.contract import RunSpec, Seeds
from trainers.errors import ConfigError, known, nearest
from trainers.plugins import Frozen
from tuner.config import Phase

RunState = Literal["running", "finished", "pruned", "diverged", "failed", "killed"]

LAUNCHER_DIED = "launcher died"
"""Reason of a run that was still running when its launcher was found dead."""


@dataclass(frozen=True)
class KeptDefinition:
    """A definition that a study was opened with."""

    id: str
    """Eight hex digits of its content."""
    time: float
    """Time of the last opening, in seconds since 1970."""
    text: str


def definition_id(text: str) -> str:
    """Return the id of a definition's text."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


class UnknownStudy(ConfigError):
    """A study that a store does not have."""

    def __init__(self, study: str, held: Iterable[str]) -> None:
        super().__init__(
            f"study {study!r}: not in the store; studies there: {known(held) or 'none'}"
            f"{nearest(study, held)}"
        )


class NoStudies(ConfigError):
    """A store in which no study was run yet."""


class Group(Frozen):
    """One configuration of a study: a trial, or a cell's confirm runs. Its children are runs."""

    study: str
    """The study's name."""
    task: str
    """The task's name."""
    model: str
    """The pretrained model's name."""
    arm: str
    """The arm's name."""
    phase: Phase
    """search: scored on validation; confirm: fresh seeds, scored on test."""
    trial: int | None = None
    """Number of the search trial; for confirm, of the trial that found the configuration."""
    cell: str
    """Fingerprint of the cell's definition, in hex digits."""

    @property
    def id(self) -> str:
        """Its identifier: 32 hex digits."""
        return _digits(self.model_dump_json())

    def run_id(self, digest: str, number: int) -> str:
        """Return the identifier of one of its runs: an attempt, by digest and number."""
        return _digits(f"{self.model_dump_json()} {digest} {number}")


class RunRecord(Frozen):
    """A run as a store knows it: one attempt, in one configuration."""

    run_id: str
    """Identifier of the MLflow run; before that exists, the run's own."""
    parent_id: str
    """Identifier of the group's parent run."""
    group: Group
    """The configuration that the run belongs to."""
    digest: str
    """Digest of its RunSpec."""
    seeds: Seeds
    """Its seeds."""
    state: RunState
    """Its state."""
    reason: str = ""
    """Why it was pruned, diverged, failed or was killed."""
    params: dict[str, str] = Field(default_factory=dict)
    """Its flattened RunSpec; below `retry.`, its changes after out of memory."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """The last value of every metric."""
    facts: dict[str, str] = Field(default_factory=dict)
    """Environment, data digests, device and precision."""
    start: float
    """Seconds since 1970."""
    end: float | None = None
    """Seconds since 1970; None while it runs."""
    group_state: RunState | None = None
    """State of the configuration; None where its record is gone."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The values of one metric over one run, in the order of steps, one value a step."""

    run_id: str
    name: str
    """Name of the metric, as in `RunRecord.metrics`."""
    steps: tuple[int, ...]
    values: tuple[float, ...]
    """One for each step; of several values at one step, the first in time: at its end a run
    reports the scores of its kept epoch once more."""


@dataclass(frozen=True)
class LoggedTrial:
    """A trial in the log of a search."""

    number: int
    ended: bool
    values: tuple[float, ...] = ()
    """A value for each objective; none where it did not finish."""


class Reader(ABC):
    """Reads the runs of studies. Safe to call from several threads."""

    @abstractmethod
    def runs(self, study: str, *, phase: Phase | None = None) -> list[RunRecord]:
        """Read a study's runs, in the order they were started; an unknown study has none.

        Args:
            study: The study's name.
            phase: Only the runs of this phase, which costs less than reading all.
        """

    @abstractmethod
    def curves(self, run_ids: Sequence[str], names: Sequence[str]) -> Iterator[Curve]:
        """Read the curves of runs, many at once.

        They come in the order of `run_ids`, for each run in the order of `names`; a metric that
        a run does not have is left out.

        Args:
            run_ids: Identifiers of runs, or of groups' parents.
            names: Metrics, as in `RunRecord.metrics`.
        """

    @abstractmethod
    def artifact(self, run_id: str, name: str) -> Path | None:
        """Return a local path of a run's file; None where there is no such file.

        A file on a server is downloaded into a temporary folder that lives as long as the reader.

        Args:
            run_id: The run, a group's parent, or a report's run.
            name: Such as `predictions.parquet`; in a folder, with forward slashes.
        """

    @abstractmethod
    def study_yaml(self, study: str) -> str:
        """Return the resolved YAML that the study was last opened with.

        Raises:
            UnknownStudy: The store has none of this name.
        """

    @abstractmethod
    def definitions(self, study: str) -> list[KeptDefinition]:
        """Return the definitions that the study was opened with, in the order of the last time.

        A study that an earlier version opened has none; an unknown one has none either.
        """

    @abstractmethod
    def studies(self) -> list[str]:
        """Return the names of the studies in the store, sorted."""

    def spec(self, run_id: str) -> RunSpec | None:  # most readers have it only in pieces
        """Return a run's spec; None where it is unknown."""
        return None

    def search_log(self, study: str) -> Mapping[str, Sequence[LoggedTrial]]:  # most have none
        """Return the begun trials of a study's searches, by the search's name."""
        return {}

    def is_running(self, study: str) -> bool:
        """Return whether a launcher is running the study, as far as the records tell."""
        return any(run.state == "running" for run in self.runs(study))

    def page_of(self, study: str) -> str:  # a journal without MLflow has none
        """Return the address of MLflow's page of a study; "" where there is none."""
        return ""

    def why_absent(self, study: str) -> str:  # in most stores nothing can be deleted or renamed
        """Return why a study that was run is not among `studies`; "" where unknown."""
        return ""


def study_page(pages: str, experiment_id: str | None) -> str:
    """Return the address of MLflow's page of an experiment; "" where either is not known.

    Args:
        pages: Address at which MLflow shows its pages.
        experiment_id: MLflow's identifier of the experiment.
    """
    known = pages and experiment_id is not None
    return f"{pages.rstrip('/')}/#/experiments/{experiment_id}" if known else ""


def run_page(study_page: str, run_id: str) -> str:
    """Return the address of MLflow's page of a run of a study."""
    return f"{study_page}/runs/{run_id}"


def _digits(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
