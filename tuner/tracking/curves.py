"""Make curves from the stored points of metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from tuner.store import Curve
from tuner.tracking.names import entity_name


class Point(NamedTuple):
    """One stored value of a metric. A curve has the first of a step, in sorted order."""

    step: int
    milliseconds: int
    value: float


Points = Mapping[tuple[str, str], Iterable[Point]]
"""Points by run and metric."""


def make_curves(run_ids: Sequence[str], names: Sequence[str], points: Points) -> Iterator[Curve]:
    """Yield the curves of runs in the order of the arguments."""
    for run_id in run_ids:
        for name in names:
            # A finished run stores its kept epoch's values again, at the last step and later.
            # At equal times the largest value counts, as in MLflow, so that the choice is the
            # same on every reading; a number comes before NaN.
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
