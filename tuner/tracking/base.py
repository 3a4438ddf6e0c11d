"""The tracker's contract: what a study writes about its runs, and reads back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from trainers.contract import RunEvent, RunResult, RunSpec, Seeds
from trainers.plugins import Frozen
from tuner.tracking.definitions import KeptDefinition

RunState = Literal["running", "finished", "pruned", "diverged", "failed", "killed"]
Phase = Literal["search", "confirm"]

LAUNCHER_DIED = "launcher died"
"""Reason of a run that was still running when its launcher was found dead."""


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


class RunRecord(Frozen):
    """A run as the tracker knows it."""

    run_id: str
    """The tracker's own identifier."""
    parent_id: str
    """Identifier of the group's parent run."""
    group: Group
    """The configuration that the run belongs to."""
    digest: str
    """Digest of its RunSpec."""
    seeds: Seeds
    """Its seeds."""
    state: RunState
    """How it stands."""
    reason: str = ""
    """Why it was pruned, diverged, failed or was killed."""
    params: dict[str, str] = Field(default_factory=dict)
    """Its flattened RunSpec; below `retry.`, what was changed after out of memory."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """The last value of every metric."""
    facts: dict[str, str] = Field(default_factory=dict)
    """Environment, data digests, device and precision."""
    start: float
    """Seconds since 1970."""
    end: float | None = None
    """Seconds since 1970; None while it runs."""
    group_state: RunState | None = None
    """How the configuration stands; None where its record is gone."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The values of one metric over one run, in the order of steps, one value a step."""

    run_id: str
    name: str
    """The metric's, as in `RunRecord.metrics`."""
    steps: tuple[int, ...]
    values: tuple[float, ...]
    """As many as there are steps; of several values at one step, the first in time: at the end a
    run reports the scores of its kept epoch once more."""


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
        """Return a local path of a file that a run left; None where it left no such file.

        A file on a server is downloaded into a temporary folder that lives as long as the reader.

        Args:
            run_id: The run, a group's parent, or a report's run.
            name: Such as `predictions.parquet`; with forward slashes where it stands in a folder.
        """

    @abstractmethod
    def study_yaml(self, study: str) -> str:
        """Return the resolved YAML that the study was last opened with.

        Raises:
            UnknownStudy: The store has none of this name.
        """

    @abstractmethod
    def definitions(self, study: str) -> list[KeptDefinition]:
        """Return the texts that the study was opened with, in the order of the last time.

        A study that an earlier version opened has none; an unknown one has none either.
        """

    @abstractmethod
    def studies(self) -> list[str]:
        """List the studies in the store, by name."""

    def why_absent(self, study: str) -> str:  # most stores let nobody delete or rename
        """Say why a study that was run is not among `studies`; empty where that is not known."""
        return ""


class Tracker(Reader):
    """Writes the runs of studies and reads them back. Safe to call from several threads.

    One launcher at a time writes to a group that is not shared: whatever it finds running there
    on opening it is taken for the remains of a dead launcher. Of a shared group each launcher
    writes its own runs; which are whose is settled elsewhere. A run takes events from `open_run`
    to `close_run`; what comes later is dropped, so that a killed training's last event cannot
    touch a closed run. Names of metrics and facts are stored as `entity_name` writes them.
    """

    def guard(self, check: Callable[[], None]) -> None:  # most write at once
        """Call `check` before a write that had to wait is made; it raises to forbid it."""

    @abstractmethod
    def open_study(self, name: str, resolved_yaml: str) -> None:
        """Make the study, or open it again and read what it holds; keep the text with the time.

        Raises:
            ConfigError: The store cannot hold a study of this name.
        """

    @abstractmethod
    def open_group(self, group: Group, params: Mapping[str, str], *, shared: bool = False) -> str:
        """Make the group's parent run, or adopt the one that is there; return its identifier.

        Children of an adopted parent that are still running, unless this tracker opened them,
        are closed as killed; `open_run` with `adopt` may open them again.

        Args:
            group: The configuration.
            params: Of the parent run.
            shared: Another launcher may have written to the group since the study was opened,
                or may do so now: the store is asked what there is, and running children are let
                be until their run is opened again, or the group is closed as finished.
        """

    @abstractmethod
    def open_run(
        self,
        group_id: str,
        spec: RunSpec,
        *,
        adopt: bool,
        extra: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Make a run of an open group and return its identifier.

        A finished run of the same digest in the group is returned as it is, and stays closed.

        Args:
            group_id: What `open_group` returned.
            spec: The run.
            adopt: Continue the group's last run of the same digest, however it ended, if there
                is one. Its events may be logged again: each is kept once. Without it such a
                run, if still running, is closed as killed, and a new one is made.
            extra: Params beside the spec's, such as what was changed after out of memory.
        """

    @abstractmethod
    def log(self, run_id: str, events: Sequence[RunEvent]) -> None:
        """Write the metrics and facts of events."""

    @abstractmethod
    def close_run(
        self,
        run_id: str,
        *,
        state: RunState,
        reason: str = "",
        result: RunResult | None = None,
        folder: Path | None = None,
    ) -> None:
        """End a run: its state and reason, its result, the files it left in `folder`."""

    @abstractmethod
    def close_group(
        self, group_id: str, *, state: RunState, reason: str = "", metrics: Mapping[str, float]
    ) -> None:
        """End a group's parent run, with metrics over its runs (see `aggregate`)."""

    @abstractmethod
    def log_model(self, run_id: str, folder: Path) -> None:
        """Keep what `trainers.train.saved.save_trained` wrote into `folder` as the run's model.

        The run may be closed. A run that has a model keeps it. The folder is the tracker's from
        then on: it may be gone once the store has the model, so that weights lie there alone.
        """

    def settle(self) -> None:
        """Wait until the store holds everything that was written.

        Raises:
            TrackerAway: It could not be reached in time.
        """

    def catch_up(self) -> None:
        """Wait until the store holds everything that was written, or is known to be away."""

    def hurry(self) -> None:
        """Wait but some seconds more for a store that does not answer: the study is ending."""

    @abstractmethod
    def log_report(self, study: str, folder: Path) -> str:
        """Keep a folder's files as those of the study's one `report` run; return its identifier.

        The run is made the first time. Files that it holds from an earlier time are replaced, and
        removed where the folder has them no more. It is no run of the study: `runs` passes over
        it.

        Raises:
            UnknownStudy: The store has none of this name.
        """
