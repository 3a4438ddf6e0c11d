"""What a study says of its progress while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from trainers.contract import RunEvent
from tuner.plan import Cell, Phase


@dataclass(frozen=True)
class RunNotice:
    """One run: begun, going on, or ended."""

    cell: Cell
    phase: Phase
    trial: int | None
    seed: int
    epochs: int
    state: Literal["running", "finished", "pruned", "failed"] = "running"
    event: RunEvent | None = None
    seconds: float = 0.0
    reused: bool = False
    reason: str = ""


Watch: TypeAlias = Callable[[RunNotice], None]


def unwatched(notice: RunNotice) -> None:
    """Take a notice and do nothing with it."""
