"""Place the chosen values in the ranges that they were searched in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tuner.config import Choice, position
from tuner.report.contracts import Basis, ReportTable, plain
from tuner.report.selection import ComparedCell
from tuner.report.wording import as_number

if TYPE_CHECKING:
    import pandas

_OUTER = 0.1
"""Share of a range, at each end, in which a chosen value calls for a wider range."""
_LEAST_VALUES = 4
"""Of a shorter list of whole numbers nearly all are ends."""
_COLUMNS = ("task", "model", "arm", "field", "chosen", "low", "high", "log", "position", "near")


class SearchedTable(ReportTable):
    """A row for each field that an arm's search varies: the chosen value, in its range.

    field, chosen (as text), low and high (ends of the range), log (its logarithm is sampled),
    position (from 0, the lower end, to 1, on the scale that is sampled), near (`lower` or `upper`
    where the value lies in the outer tenth of the range, else empty). Choices have no range, and
    neither has a study whose definition is not known.
    """

    ORDER: ClassVar = 45

    kind: Literal["searched"] = "searched"
    """File name of the table."""

    def frame(self, basis: Basis) -> pandas.DataFrame:
        """Place the chosen values of every searched cell that has confirm runs."""
        cells = [cell for block in basis.blocks for cell in block.begun]
        return plain((row for cell in cells for row in _rows(cell)), _COLUMNS)


def _rows(cell: ComparedCell) -> Iterator[dict[str, Any]]:
    params = cell.runs[0].params
    for name in sorted(cell.searched_fields & params.keys()):
        row: dict[str, Any] = {"task": cell.task, "model": cell.model, "arm": cell.arm}
        row |= {"field": name, "chosen": params[name], "near": ""}
        yield row | _place(cell, name, as_number(params[name]))


def _place(cell: ComparedCell, name: str, value: float | None) -> dict[str, Any]:
    dimension = cell.planned.ranges.get(name)
    if dimension is None or isinstance(dimension, Choice) or value is None:
        return {}
    low, high = (float(end or 0) for end in dimension.ends())
    place, count = position(dimension, value), dimension.count()
    found = {"low": low, "high": high, "log": dimension.log, "position": place}
    if place is None or (count is not None and count < _LEAST_VALUES):
        return found
    near = "lower" if place < _OUTER else "upper" if place > 1 - _OUTER else ""
    return found | {"near": near}
