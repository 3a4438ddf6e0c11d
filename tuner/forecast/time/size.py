"""Count a task's rows and characters, and a training's steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trainers.contract import RunSpec
from trainers.data import load_task
from trainers.interfaces import Task
from trainers.train import optimizer_steps


@dataclass(frozen=True)
class TaskSize:
    """How much data a task has."""

    train: int
    validation: int
    test: int
    labels: int
    characters: tuple[int, ...]
    """Of every row of every split."""

    def steps(self, spec: RunSpec) -> int:
        """Return the optimizer steps of a run."""
        return optimizer_steps(spec.train, self.train, ranks=spec.ranks)


def measure_task(task: Task, data_dir: Path, seed: int) -> TaskSize:
    """Read a task as a run with this data seed does.

    Raises:
        DataError: The data cannot be used.
    """
    data = load_task(task, data_dir, seed)
    rows = (*data.train, *data.validation, *data.test)
    return TaskSize(
        train=len(data.train),
        validation=len(data.validation),
        test=len(data.test),
        labels=len(data.labels),
        characters=tuple(len(row.text) + len(row.pair or "") for row in rows),
    )
