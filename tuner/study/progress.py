"""What a study says of its progress while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from trainers.contract import RunEvent
from tuner.config import Cell, Phase


@dataclass(frozen=True)
class RunNotice:
    """One run: begun, going on, or ended. Or a trial that is pruned between its seeds."""

    cell: Cell
    phase: Phase
    trial: int | None
    seed: int | None = None
    """None: it is about the trial."""
    epochs: int = 0
    state: Literal["running", "finished", "pruned", "diverged", "failed"] = "running"
    event: RunEvent | None = None
    seconds: float = 0.0
    """Of a finished run its own, whenever it was done and however long it waited for a place;
    else those since it was taken up."""
    runs: int = 1
    """Runs that are done or, of a trial, spared."""
    reused: bool = False
    reason: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Of a finished run: the metrics of the epoch that was kept."""


Watch: TypeAlias = Callable[[RunNotice], None]


def unwatched(notice: RunNotice) -> None:
    """Take a notice and do nothing with it."""
