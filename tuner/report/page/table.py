"""Hold a table as a page shows it: every cell with its text and the raw value to sort by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tuner.report.wording import (
    NONE,
    bytes_text,
    count_text,
    interval_text,
    missing,
    value_text,
)

Row = Mapping[Any, Any]
Ends = tuple[Any, Any] | None
"""Lower and upper end of an interval."""
Mark = Literal["", "best", "near"]


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str
    value: str | None = None
    """What a column of numbers is sorted by, unrounded; None: there is no number."""
    detail: str = ""
    """A second line, such as an interval."""
    mark: Mark = ""
    """best: the best mean; near: compared with it, not shown to differ."""


@dataclass(frozen=True)
class Head:
    """The head of a column."""

    title: str
    meaning: str = ""
    """What it holds, with the unit."""
    numeric: bool = True


@dataclass(frozen=True)
class RunIds:
    """MLflow runs that a row of numbers comes from."""

    label: str
    ids: tuple[str, ...]


@dataclass(frozen=True)
class TableRow:
    """A row: its cells, the first of which names it, and the runs behind it."""

    cells: tuple[Cell, ...]
    runs: tuple[RunIds, ...] = ()


@dataclass(frozen=True)
class TableView:
    """A table of a page."""

    caption: str
    heads: tuple[Head, ...]
    rows: tuple[TableRow, ...]
    below: str = ""
    """A sentence to be read with it."""

    @property
    def has_runs(self) -> bool:
        """Tell whether some row leads to its runs."""
        return any(row.runs for row in self.rows)


def word(value: Any) -> Cell:
    """Return a cell of text."""
    return Cell(NONE if missing(value) or value == "" else str(value))


def score(value: Any, metric: str, *, spread: Any = None, ends: Ends = None) -> Cell:
    """Return a score, with its standard deviation and its interval where they are known."""
    text = value_text(value, metric)
    if not missing(spread):
        text += f" ± {value_text(spread, metric)}"
    detail = interval_text(ends[0], ends[1], metric) if ends else NONE
    return Cell(text, raw(value), "" if detail == NONE else detail)


def difference(value: Any, metric: str, ends: Ends = None) -> Cell:
    """Return a difference of scores with its sign, and its interval where it is known."""
    detail = interval_text(ends[0], ends[1], metric, signed=True) if ends else NONE
    return Cell(
        value_text(value, metric, signed=True), raw(value), "" if detail == NONE else detail
    )


def count(value: Any) -> Cell:
    """Return a whole number."""
    return Cell(count_text(value), raw(value))


def memory(value: Any) -> Cell:
    """Return a number of bytes in MiB or GiB."""
    return Cell(bytes_text(value), raw(value))


def raw(value: Any) -> str | None:
    """Return a number as exactly as it is known, to sort by."""
    if missing(value):
        return None
    number = float(value)
    return str(int(number)) if number.is_integer() else repr(number)


def run_ids(label: str, ids: Any) -> tuple[RunIds, ...]:
    """Return the runs that a frame names with a space between; none where it names none."""
    return () if missing(ids) or not ids else (RunIds(label, tuple(str(ids).split())),)
