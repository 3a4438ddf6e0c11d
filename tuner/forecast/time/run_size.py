"""Measure the size of runs: rows, characters, steps, epochs and the middle point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from trainers.contract import RunSpec
from trainers.data import load_task
from trainers.interfaces import Task
from trainers.train import optimizer_steps
from tuner.config import Cell, Choice, Dimension, Point, Value

_EPOCHS = "train.epochs"


@dataclass(frozen=True)
class TaskSize:
    """The amount of a task's data."""

    train: int
    validation: int
    test: int
    labels: int
    characters: tuple[int, ...]
    """Characters of every row of every split."""

    def steps(self, spec: RunSpec) -> int:
        """Return the optimizer steps of a run."""
        return optimizer_steps(spec.train, self.train, ranks=spec.ranks)


def measure_task(task: Task, data_dir: Path, seed: int) -> TaskSize:
    """Read a task as a run with this data seed does.

    Raises:
        DataError: The data is invalid.
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


def midpoint(cell: Cell) -> Point:
    """Return the middle of every range: geometric if it is searched logarithmically.

    Of a list it is the middle value: by size if all are numbers, else in the list's order.
    """
    space = cell.study.arms[cell.arm].space
    return {name: _middle(dimension) for name, dimension in space.items()}


def mean_epochs(cell: Cell) -> float:
    """Return the epochs of a run; if they are searched, their mean over random points."""
    dimension = cell.study.arms[cell.arm].space.get(_EPOCHS)
    if dimension is None:
        return float(cell.spec(cell.study.confirm.seeds[0]).train.epochs)
    values = [value for value in dimension.grid() or dimension.ends() if _is_number(value)]
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if isinstance(dimension, Choice) or not dimension.log:
        return fmean(numbers)
    low, high = numbers[0], numbers[-1]
    return (high - low) / math.log(high / low)


def _middle(dimension: Dimension) -> Value:
    if isinstance(dimension, Choice):
        return _middle_of(dimension.choice)
    low, high = (float(end) for end in dimension.ends() if isinstance(end, int | float))
    middle = math.sqrt(low * high) if dimension.log else (low + high) / 2
    values = dimension.grid()
    if values is None:
        return middle
    numbers = [value for value in values if isinstance(value, int | float)]
    return min(numbers, key=lambda value: abs(value - middle))


def _middle_of(values: Sequence[Value]) -> Value:
    numbers = [value for value in values if isinstance(value, int | float) and _is_number(value)]
    ordered = sorted(numbers) if len(numbers) == len(values) else values
    return ordered[(len(values) - 1) // 2]


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
