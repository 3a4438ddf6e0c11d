"""Hold a table as people see it. A table makes its views, every form renders any view."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tuner.report.wording import (
    NONE,
    bytes_text,
    count_text,
    interval_text,
    mean_detail,
    missing,
    number_text,
    p_text,
    percent_text,
    seconds_text,
    value_text,
)

Ends = tuple[Any, Any] | None
"""Lower and upper end of an interval."""
Mark = Literal["", "best", "near"]
Medium = Literal["page", "text", "narrow", "terminal"]
"""page: HTML, which explains, folds and scrolls. text: as wide as needed, such as Markdown.
narrow: a printed page. terminal: as wide as its window."""
EVERYWHERE: frozenset[Medium] = frozenset({"page", "text", "narrow", "terminal"})
TERMINAL: frozenset[Medium] = frozenset({"terminal"})
PAGE: frozenset[Medium] = frozenset({"page"})
TEXT: frozenset[Medium] = frozenset({"text"})
WIDE = PAGE | TEXT
CONFIGURATION = "configuration"
"""Labels the run of a configuration, of which the runs of its seeds are children."""
Section = Literal["arms", "pairs", "costs", "folded", "first", "across", "lists"]
"""The part of a report that shows a view. Of one task and model: its arms, its pairs of arms,
its costs, folded details. Of all together: what comes first, the rest across tasks, and long
lists of trials and runs."""


@dataclass(frozen=True)
class Heading:
    """The head of a view's column, and how the column is shown."""

    text: str
    description: str = ""
    """The meaning of its cells, with the unit; a page shows it when the heading is pointed at."""
    numeric: bool = True
    """Numbers are aligned to the right and sorted by their raw values."""
    spelled: str = ""
    """The heading in text, which shows no description; by default the same."""
    short: str = ""
    """The heading on a printed page and in a terminal; by default the same."""
    in_line: bool = False
    """Whether a terminal shows the second line of its cells beside the first."""
    dispensable: int = 0
    """A terminal that is too narrow leaves out the columns with 1 first, then 2, ...; 0: none."""
    shown_in: frozenset[Medium] = EVERYWHERE


@dataclass(frozen=True)
class TableCell:
    """A cell of a view."""

    text: str
    value: str | None = None
    """The raw number, unrounded, to sort by; None: there is no number."""
    detail: str = ""
    """A second line on a page, such as an interval."""
    mark: Mark = ""
    """best: the best mean; near: compared with the best and not shown to differ."""


@dataclass(frozen=True)
class RunIds:
    """MLflow runs that a row is made of, to look them up."""

    label: str
    ids: tuple[str, ...]


@dataclass(frozen=True)
class TableRow:
    """A row of a view. Its first cell names it."""

    cells: tuple[TableCell, ...]
    """One a column of the view."""
    runs: tuple[RunIds, ...] = ()

    @property
    def configuration(self) -> tuple[str, ...]:
        """Return the run of the row's configuration, which is the parent of its other runs."""
        return tuple(
            name for runs in self.runs if runs.label == CONFIGURATION for name in runs.ids
        )


@dataclass(frozen=True)
class TableView:
    """A table as people see it, complete: each medium shows its part of the columns."""

    title: str
    headings: tuple[Heading, ...]
    rows: tuple[TableRow, ...]
    section: Section = "across"
    task: str | None = None
    """Task and model that it is about; None: the whole comparison."""
    model: str | None = None
    heading: str = ""
    """The title in text; by default the same."""
    below: tuple[str, ...] = ()
    """Sentences to be read with it."""
    order: int = 0
    """Views with larger numbers come later in their section."""
    shown_in: frozenset[Medium] = EVERYWHERE

    @property
    def has_runs(self) -> bool:
        """Return whether some row leads to its runs."""
        return any(row.runs for row in self.rows)

    @property
    def has_best(self) -> bool:
        """Return whether some cell is marked as the best."""
        return any(cell.mark == "best" for row in self.rows for cell in row.cells)

    def part_for(self, medium: Medium) -> TableView:
        """Return the view with the columns that a medium shows."""
        kept = [place for place, head in enumerate(self.headings) if medium in head.shown_in]
        return replace(
            self,
            headings=tuple(self.headings[place] for place in kept),
            rows=tuple(
                replace(row, cells=tuple(row.cells[place] for place in kept)) for row in self.rows
            ),
        )


Field = tuple[Heading, Callable[[Any], TableCell]]
"""A column: its heading, and how its cell is made from a row of a frame."""


def headings_of(fields: Sequence[Field]) -> tuple[Heading, ...]:
    """Return the headings of columns."""
    return tuple(heading for heading, _ in fields)


def rows_of(
    fields: Sequence[Field],
    rows: Iterable[Any],
    runs: Callable[[Any], tuple[RunIds, ...]] = lambda row: (),
) -> tuple[TableRow, ...]:
    """Make the rows of a view.

    Args:
        fields: The columns, each with the function that makes its cells.
        rows: The items that cells are made from, such as the rows of a frame.
        runs: Returns the runs that a row is made of.
    """
    return tuple(TableRow(tuple(make(row) for _, make in fields), runs(row)) for row in rows)


def cell_of(name: str, make: Callable[[Any], TableCell]) -> Callable[[Any], TableCell]:
    """Return a function that makes a cell from one column of a frame's row."""
    return lambda row: make(row[name])


def word(value: Any) -> TableCell:
    """Return a cell of text."""
    return TableCell(NONE if missing(value) or value == "" else str(value))


def yes_or_no(value: Any) -> TableCell:
    """Return yes, or no where it is false or missing."""
    return word("yes" if not missing(value) and value else "no")


def number(text: str, value: Any, detail: str = "") -> TableCell:
    """Return a cell with a number that is written already."""
    return TableCell(text, raw(value), detail)


def score(value: Any, metric: str, *, spread: Any = None, ends: Ends = None) -> TableCell:
    """Return a score, with its standard deviation and its interval where they are known."""
    text = value_text(value, metric)
    if not missing(spread):
        text += f" ± {value_text(spread, metric)}"
    detail = interval_text(ends[0], ends[1], metric) if ends else NONE
    return number(text, value, "" if detail == NONE else detail)


def mean_cell(row: Mapping[Any, Any], *, spread: bool = False) -> TableCell:
    """Return the mean of a row of `cells`, below it its interval, or its scores if they are few.

    Args:
        row: The row.
        spread: Whether the standard deviation stands beside it.
    """
    cell = score(row["mean"], row["metric"], spread=row["std"] if spread else None)
    return replace(cell, detail=mean_detail(row))


def difference(value: Any, metric: str, ends: Ends = None) -> TableCell:
    """Return a difference of scores with its sign, and its interval where it is known."""
    detail = interval_text(ends[0], ends[1], metric, signed=True) if ends else NONE
    return number(value_text(value, metric, signed=True), value, "" if detail == NONE else detail)


def count(value: Any) -> TableCell:
    """Return a whole number."""
    return number(count_text(value), value)


def memory(value: Any) -> TableCell:
    """Return a number of bytes in MiB or GiB."""
    return number(bytes_text(value), value)


def seconds(value: Any) -> TableCell:
    """Return seconds to a tenth."""
    return number(seconds_text(value), value)


def percent(value: Any) -> TableCell:
    """Return a share in whole percent."""
    return number(percent_text(value), value)


def p_value(value: Any) -> TableCell:
    """Return a p to three digits."""
    return number(p_text(value), value)


def decimal(value: Any) -> TableCell:
    """Return a number to two digits."""
    return number(number_text(value), value)


def raw(value: Any) -> str | None:
    """Return a number as exactly as it is known; None where it is missing."""
    if missing(value):
        return None
    exact = float(value)
    return str(int(exact)) if exact.is_integer() else repr(exact)


def run_ids(label: str, ids: Any) -> tuple[RunIds, ...]:
    """Return the runs that a frame names with a space between; none where it names none."""
    return () if missing(ids) or not ids else (RunIds(label, tuple(str(ids).split())),)
