"""Average curves of training over the confirm seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tuner.report.contracts import Basis, ReportTable, plain
from tuner.report.selection import ComparedCell
from tuner.store import Curve

if TYPE_CHECKING:
    import pandas

_COLUMNS = ("task", "model", "arm", "series", "step", "n", "mean", "low", "high")


class CurvesTable(ReportTable):
    """Mean and mean -+ one standard deviation (low, high) of every series, step by step.

    The series are `train/loss`, `validation/loss` and `validation/<metric>`, over the n confirm
    seeds that have the step. A picture shows them.
    """

    ORDER: ClassVar = 90

    kind: Literal["curves"] = "curves"
    """File name of the table."""

    def frame(self, basis: Basis) -> pandas.DataFrame:
        """Average the curves of each cell's finished confirm runs."""
        by_run: defaultdict[str, list[Curve]] = defaultdict(list)
        for curve in basis.evidence.curves:
            by_run[curve.run_id].append(curve)
        cells = [cell for block in basis.blocks for cell in block.cells]
        return plain((row for cell in cells for row in _rows(cell, by_run)), _COLUMNS)


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
