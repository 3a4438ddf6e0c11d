"""Notices of a study's progress while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from trainers.contract import RunEvent
from tuner.config import Cell, Phase
from tuner.store import RunState


@dataclass(frozen=True)
class RunNotice:
    """One run that is begun, running or ended; or a trial that is pruned between its seeds."""

    cell: Cell
    phase: Phase
    trial: int | None
    seed: int | None = None
    """The run's init seed; None: the notice is about a trial."""
    epochs: int = 0
    state: RunState = "running"
    event: RunEvent | None = None
    seconds: float = 0.0
    """Wall seconds of a finished run itself, whenever it was done and without waiting; else those
    since it was begun here."""
    runs: int = 1
    """Runs that are done; of a pruned trial, runs that are saved."""
    reused: bool = False
    reason: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    """Values of the params that the cell's search varies."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Metrics of a finished run's kept epoch."""


Watch: TypeAlias = Callable[[RunNotice], None]


def unwatched(notice: RunNotice) -> None:
    """Take a notice and do nothing with it."""
