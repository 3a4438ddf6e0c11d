"""Make curves from the points that a store returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tuner.trackers.base import Curve


class Point(NamedTuple):
    """One stored value of a metric. Sorted, the last of a step is the one that counts."""

    step: int
    milliseconds: int
    value: float


Points = Mapping[tuple[str, str], Iterable[Point]]
"""Points by run and metric."""


def make_curves(run_ids: Sequence[str], names: Sequence[str], points: Points) -> Iterator[Curve]:
    """Yield the curves of runs in the order that was asked for."""
    for run_id in run_ids:
        for name in names:
            # Equal moments: the largest value, as MLflow has it, so that the choice is the same
            # on every reading; NaN, which nothing is larger than, comes first.
            ordered = sorted(points.get((run_id, name), ()), key=_order)
            if ordered:
                kept = {point.step: point.value for point in ordered}
                yield Curve(run_id, name, tuple(kept), tuple(kept.values()))


def _order(point: Point) -> tuple[int, int, bool, float]:
    is_number = point.value == point.value
    return point.step, point.milliseconds, is_number, point.value if is_number else 0.0
