"""Write a report for a terminal: the arms in one table that fits its width, then the notes."""

from __future__ import annotations

import io
import itertools
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tuner.report.comparison import CAPTION, NOTHING
from tuner.report.contracts import Report, ReportForm
from tuner.report.tables.arms import NEAR_END
from tuner.report.view import Heading, TableRow, TableView, word

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
_INTERVAL = re.compile(r"\[[^][]*\]")
_HARD = "\u00a0"
"""A space at which no line breaks."""
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
        if not report.comparison.places():
            return {"report.txt": f"{NOTHING}\n"}
        if report.answer.question:
            _print_text(console, report.answer.question, style="bold")
        _print_list(console, report.doubts(), mark="!")
        _print_tables(console, report)
        _print_answer(console, report)
        _print_list(console, [note for note in report.notes() if note != CAPTION], mark="-")
        lines = stream.getvalue().splitlines()
        return {"report.txt": "\n".join([*map(str.rstrip, lines), ""])}


def _print_tables(console: Console, report: Report) -> None:
    """Print what comes first, then the arms in one table, then the rest."""
    views = report.views("terminal")
    arms = [view for view in views if view.section == "arms"]
    for view in views:
        if view.section == "first":
            _print_titled(console, view)
    if arms:
        console.print()
        left_out = _print_fitting(console, _merged(arms))
        if legend := _legend(arms, report.comparison.baseline, left_out):
            _print_text(console, legend, style="dim")
    for view in views:
        if view.section not in ("arms", "first"):
            _print_titled(console, view)


def _print_titled(console: Console, view: TableView) -> None:
    console.print()
    console.print(_title(view), style="bold", markup=False, highlight=False)
    _print_fitting(console, view)


def _print_answer(console: Console, report: Report) -> None:
    said = report.answer
    for lines, style in ((said.sentences, "bold"), ((said.certainty, said.settle), "")):
        for line in filter(None, lines):
            console.print()
            _print_text(console, line, style=style)


def _print_list(console: Console, texts: Sequence[str], *, mark: str) -> None:
    """Print sentences as a list, their further lines indented."""
    if texts:
        console.print()
    for text in texts:
        _print_text(console, text, mark=f" {mark} ")


def _print_text(console: Console, text: str, *, mark: str = "", style: str = "") -> None:
    """Print a sentence in lines that break between words, and inside no interval."""
    whole = _INTERVAL.sub(lambda found: found[0].replace(" ", _HARD), text)
    lines = textwrap.wrap(
        whole,
        width=max(console.width, len(mark) + 1),
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_on_hyphens=False,
    )
    for line in lines:
        shown = line.replace(_HARD, " ")
        console.print(shown, style=style, markup=False, highlight=False, no_wrap=True, crop=False)


def _legend(views: Sequence[TableView], baseline: str | None, left_out: Sequence[str]) -> str:
    """Return the meaning of the marks of the arms' table, those that occur."""
    rows = [row for view in views for row in view.rows]
    heads = {head.text for view in views for head in view.headings}
    said = ["± standard deviation over the seeds"] if any(map(_spread, rows)) else []
    said += ["* best mean"] if any(map(_is_best, rows)) else []
    said += [f"behind: seeds on which {baseline} is better"] if "behind" in heads else []
    near = any(
        cell.text.endswith(NEAR_END)
        for view in views
        for row in view.rows
        for cell, head in zip(row.cells, view.headings, strict=True)
        if head.text not in left_out
    )
    said += [f"{NEAR_END} near its range's end"] if near else []
    return "; ".join(said)


def _spread(row: TableRow) -> bool:
    return any("±" in cell.text for cell in row.cells)


def _is_best(row: TableRow) -> bool:
    return any(cell.mark == "best" for cell in row.cells)


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


def _print_fitting(console: Console, view: TableView) -> list[str]:
    """Print a table that fits; name and return the columns that are left out for that.

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
        said = f"In `tuner report` too: {', '.join(left_out)}."
        _print_text(console, said, style="dim")
    return left_out


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

    table = Table(
        box=SIMPLE_HEAD,
        header_style="bold",
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0) if narrow else (0, 2, 0, 0),
    )
    kept = [place for place, head in enumerate(view.headings) if head.text not in left_out]
    for place in kept:
        head = view.headings[place]
        name = head.short or head.text
        if not head.numeric:
            widest = max((len(_text(row, place, head)) for row in view.rows), default=0)
            whole = place == 0 and widest <= longest
            table.add_column(Text(name), overflow="fold", no_wrap=whole, max_width=longest)
            continue
        title = "\n".join(name.split()) if narrow else name
        texts = [_text(row, place, head) for row in view.rows]
        widths = [*map(len, title.splitlines()), *map(len, texts)]
        table.add_column(Text(title), justify="right", no_wrap=True, min_width=max(widths))
    for row in view.rows:  # names are no markup
        table.add_row(*(Text(_text(row, place, view.headings[place])) for place in kept))
    return table


def _text(row: TableRow, place: int, head: Heading) -> str:
    """Return the text of a cell; that of the first has a mark where the row has the best mean."""
    cell = row.cells[place]
    parts = [cell.text, cell.detail if head.in_line else ""]
    if head.text == "arm" and _is_best(row):
        parts.append("*")
    return " ".join(filter(None, parts))
