"""Make typed pandas frames from rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tuner.report.columns import Column

if TYPE_CHECKING:
    import pandas

Row = Mapping[str, Any]


def typed(rows: Iterable[Row], columns: Sequence[Column]) -> pandas.DataFrame:
    """Return a frame with the documented columns, then whatever else the rows hold, by name.

    Args:
        rows: Mappings from column names; what a row lacks is missing.
        columns: The documented columns, in their order.
    """
    import pandas

    rows = list(rows)
    names = [column.name for column in columns]
    more = sorted({name for row in rows for name in row} - set(names))
    frame = pandas.DataFrame(rows, columns=[*names, *more])
    return frame.astype({column.name: column.dtype for column in columns})


def plain(rows: Iterable[Row], names: Sequence[str]) -> pandas.DataFrame:
    """Return a frame with these columns, also where there is no row."""
    import pandas

    return pandas.DataFrame(list(rows), columns=list(names))
