"""Write a report for a terminal: the arms in one table that fits its width, then the notes."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tuner.report.contracts import Report, ReportForm
from tuner.report.view import Heading, TableView, word

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
_LONGEST_NAMES = (40, 16)
"""Characters of a name in one line, where there is room, and where there is little."""


class Terminal(ReportForm):
    """One table of all arms that fits the terminal, between the doubts and the notes."""

    PICTURES: ClassVar = False
    BY_DEFAULT: ClassVar = False

    kind: Literal["terminal"] = "terminal"
    """File name of the form."""
    width: int = Field(default=80, ge=1)
    """Characters of a line."""
    colours: Literal["standard", "256", "truecolor"] | None = None
    """The terminal's system of colours; none: plain text."""

    def files(self, report: Report) -> dict[str, str]:
        """Return `report.txt`."""
        from rich.console import Console

        stream = io.StringIO()
        console = Console(
            file=stream,
            width=self.width,
            force_terminal=self.colours is not None,
            color_system=self.colours,
        )
        said = report.answer
        for line in (*filter(None, [said.question]), *report.doubts()):
            console.print(line, markup=False, highlight=False)
        views = report.views("narrow")
        for view in views:
            if view.section == "first":
                console.print(_title(view), style="bold", markup=False, highlight=False)
                _print_fitting(console, view)
        if arms := [view for view in views if view.section == "arms"]:
            _print_fitting(console, _merged(arms))
        for view in views:
            if view.section not in ("arms", "first"):
                console.print(_title(view), style="bold", markup=False, highlight=False)
                _print_fitting(console, view)
        if report.comparison.places():
            for line in said.lines():
                console.print(line, style="bold", markup=False, highlight=False)
            console.print()
        for note in report.notes():
            console.print(note, markup=False, highlight=False)
        return {"report.txt": stream.getvalue()}


def _title(view: TableView) -> str:
    return view.title if view.task is None else f"{view.task} · {view.model}: {view.title}"


def _merged(views: Sequence[TableView]) -> TableView:
    """Return the views of several tasks and models as one; task and model where they differ."""
    places = {"task": [view.task for view in views], "model": [view.model for view in views]}
    differ = [name for name, values in places.items() if len(set(values)) > 1]
    return replace(
        views[0],
        headings=(*(Heading(name, numeric=False) for name in differ), *views[0].headings),
        rows=tuple(
            replace(row, cells=(*(word(getattr(view, name)) for name in differ), *row.cells))
            for view in views
            for row in view.rows
        ),
    )


def _print_fitting(console: Console, view: TableView) -> None:
    """Print a table that fits, and name the columns that are left out for that.

    Numbers never wrap, and long names do before a column is left out.
    """
    from rich.measure import Measurement

    # Else no measure is larger than the console's width.
    unbounded = console.options.update(max_width=1 << 16)
    for left_out, longest, narrow in itertools.product(
        _dispensed(view), _LONGEST_NAMES, (False, True)
    ):
        table = _table(view, left_out, narrow=narrow, longest=longest)
        if Measurement.get(console, unbounded, table).maximum <= console.width:
            break
    console.print(table)
    if left_out:
        console.print(f"In `tuner report` too: {', '.join(left_out)}.", markup=False)


def _dispensed(view: TableView) -> Iterator[list[str]]:
    """Yield the columns to leave out: none, then those that matter least, one more each time."""
    dispensable = [head for head in view.headings if head.dispensable]
    names = [head.text for head in sorted(dispensable, key=lambda head: head.dispensable)]
    for count in range(len(names) + 1):
        yield names[:count]


def _table(view: TableView, left_out: Sequence[str], *, narrow: bool, longest: int) -> Table:
    """Make a table; a narrow one has the words of its titles below each other.

    Args:
        view: Its first columns are names, the others numbers.
        left_out: Headings of columns to leave out.
        narrow: Whether the headings of numbers wrap.
        longest: Characters of a name in one line.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    kept = [place for place, head in enumerate(view.headings) if head.text not in left_out]
    for place in kept:
        head = view.headings[place]
        if not head.numeric:
            table.add_column(Text(head.text), overflow="fold", max_width=longest)
            continue
        title = "\n".join(head.text.split()) if narrow else head.text
        widths = [*map(len, title.splitlines()), *(len(r.cells[place].text) for r in view.rows)]
        table.add_column(Text(title), justify="right", no_wrap=True, min_width=max(widths))
    for row in view.rows:
        table.add_row(*(Text(row.cells[place].text) for place in kept))  # names are no markup
    return table
