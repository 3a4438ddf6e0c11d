"""Make curves from the points that a store returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from tuner.store import Curve
from tuner.tracking.names import entity_name


class Point(NamedTuple):
    """One stored value of a metric. Sorted, the first of a step is the one of the curve."""

    step: int
    milliseconds: int
    value: float


Points = Mapping[tuple[str, str], Iterable[Point]]
"""Points by run and metric."""


def make_curves(run_ids: Sequence[str], names: Sequence[str], points: Points) -> Iterator[Curve]:
    """Yield the curves of runs in the order that was asked for."""
    for run_id in run_ids:
        for name in names:
            # What a finished run reports of its kept epoch is stored at the last step, later.
            # Equal moments: the largest value, as MLflow has it, so that the choice is the same
            # on every reading; a number comes before NaN.
            ordered = sorted(points.get((run_id, name), ()), key=_order)
            if ordered:
                kept: dict[int, float] = {}
                for point in ordered:
                    kept.setdefault(point.step, point.value)
                yield Curve(run_id, name, tuple(kept), tuple(kept.values()))


def true_curves(
    names: Sequence[str], read: Callable[[Sequence[str]], Iterator[Curve]]
) -> Iterator[Curve]:
    """Yield curves by their metrics' true names.

    Args:
        names: The true names.
        read: Yields curves by stored names.
    """
    true = {entity_name(name): name for name in names}
    for curve in read(list(true)):
        yield replace(curve, name=true[curve.name])


def _order(point: Point) -> tuple[int, int, bool, float]:
    is_nan = point.value != point.value
    return point.step, point.milliseconds, is_nan, 0.0 if is_nan else -point.value
