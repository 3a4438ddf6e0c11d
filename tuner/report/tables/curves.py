"""Average curves of training over the confirm seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tuner.report.selection import Block, ComparedCell
from tuner.report.tables.frame import plain
from tuner.store import Curve

if TYPE_CHECKING:
    import pandas

_COLUMNS = ("task", "model", "arm", "series", "step", "n", "mean", "low", "high")


def curves_frame(blocks: Sequence[Block], curves: Sequence[Curve]) -> pandas.DataFrame:
    """Return mean and mean -+ one standard deviation of every series, step by step."""
    by_run: defaultdict[str, list[Curve]] = defaultdict(list)
    for curve in curves:
        by_run[curve.run_id].append(curve)
    rows = [row for block in blocks for cell in block.cells for row in _rows(cell, by_run)]
    return plain(rows, _COLUMNS)


def _rows(cell: ComparedCell, curves: Mapping[str, Sequence[Curve]]) -> Iterator[dict[str, Any]]:
    series: defaultdict[str, defaultdict[int, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for run in cell.finished:
        for curve in curves.get(run.run_id, ()):
            for step, value in zip(curve.steps, curve.values, strict=True):
                series[curve.name][step].append(value)
    for name, points in sorted(series.items()):
        for step, values in sorted(points.items()):
            mean, spread = _moments(values)
            found = (cell.task, cell.model, cell.arm, name, step, len(values))
            yield dict(zip(_COLUMNS, (*found, mean, mean - spread, mean + spread), strict=True))


def _moments(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and standard deviation, 0 for one value, whatever the order of the values."""
    ordered = sorted(values)
    mean = sum(ordered) / len(ordered)
    if len(ordered) == 1:
        return mean, 0.0
    return mean, (sum((value - mean) ** 2 for value in ordered) / (len(ordered) - 1)) ** 0.5
