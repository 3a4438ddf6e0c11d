"""Choose the point of an arm's space that stands for all when its cost is foretold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from tuner.config import Cell, Choice, Dimension, Point, Value

_EPOCHS = "train.epochs"


def midpoint(cell: Cell) -> Point:
    """Return the middle of every range: geometric where it is searched on a logarithm.

    Of a list it is the middle value: by size where all are numbers, else as they stand.
    """
    space = cell.study.arms[cell.arm].space
    return {name: _middle(dimension) for name, dimension in space.items()}


def mean_epochs(cell: Cell) -> float:
    """Return the epochs of a run: if they are searched, the mean of a point drawn at random."""
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
