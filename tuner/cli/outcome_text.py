"""Print the outcome of a study: the comparison, its failures, and how to look further."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tuner.config import Login, hide_password, split_login
from tuner.report import Report, keep_report, report_of_run
from tuner.store import STORE, Store, missing_space
from tuner.study import NO_TRACKING, StudyOutcome

_FIRST_TO_GO = ("of these head", "trained parameters", "accuracy", "seconds", "peak memory")
"""Columns that a narrow terminal does without."""
_LONGEST_NAMES = (40, 16)
"""Characters of a name in one line, where there is room, and where there is little."""


@dataclass(frozen=True)
class Destination:
    """Where a study's runs are recorded, as its user named it."""

    store: Store
    tracking: str | None

    @property
    def server(self) -> str | None:
        """Address of the MLflow server; None: MLflow lies in the store, or there is none."""
        return None if self.tracking == NO_TRACKING else self.tracking

    def options(self) -> str:
        """Return the options that name it, for a command to type; a password is not repeated."""
        store, root = self.store, self.store.root
        named = "" if root == STORE else f" --store {root}"
        if store.shared is not None:
            files = "" if root == STORE else f" --files {root}"
            named = f" --store {hide_password(store.shared)}{files}"
        return f"{named} --tracking {self.login.address}" if self.server else named

    @property
    def login(self) -> Login:
        """The server's address and its login, apart from each other."""
        return split_login(self.server or "")


def show_outcome(
    console: Console, outcome: StudyOutcome, *, study: str, place: Destination
) -> None:
    """Print the comparison, the failures, and how to look further."""
    report = report_of_run(outcome.cells, outcome.faults, store=place.store)
    if place.tracking != NO_TRACKING:
        _keep(report, place.store, place.tracking)
    table, left_out = fitting_table(console, report.rows())
    for doubt in report.doubts():
        console.print(doubt, markup=False, highlight=False)
    console.print(table)
    if left_out:
        console.print(f"In `tuner report` too: {', '.join(left_out)}.", markup=False)
    for note in report.notes():
        console.print(note, markup=False, highlight=False)
    for failure in outcome.failures:
        console.print(f"failed: {failure}", style="red", markup=False)
    for cell in outcome.unfinished:
        if cell not in outcome.faults:  # those are among the failures
            console.print(f"not finished: {cell}", style="yellow", markup=False)
    if outcome.out_of_time:
        said = f"The time was up for {len(outcome.late)} of the cells"
        console.print(f"{said}; the same command continues with what is left.", markup=False)
    page = place.login.address if place.server else f"tuner ui{place.options()}"
    console.print("\nLook further:", highlight=False)
    console.print(f"  {page}", highlight=False)
    console.print(f"  tuner report {study}{place.options()}", highlight=False)
    if place.login.user:
        console.print(
            "with the login in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
            highlight=False,
        )


def _keep(report: Report, store: Store, tracking: str | None) -> None:
    """Keep a report in MLflow; where nothing can be written, warn: it is shown all the same."""
    try:
        keep_report(report, store=store, tracking=tracking)
    except Exception as error:
        reason = missing_space(error)
        if reason is None and isinstance(error, OSError):
            reason = error.strerror
        if reason is None:
            raise
        typer.echo(f"tuner: the report is not kept in {store.shown}: {reason}", err=True)


def fitting_table(console: Console, rows: Sequence[Sequence[str]]) -> tuple[Table, list[str]]:
    """Return a table that fits the console, and the titles of the columns left out for that.

    Numbers never wrap; long names of tasks, models and arms wrap before a column is left out.
    """
    left_out: list[str] = []
    unbounded = console.options.update(max_width=1 << 16)  # else the need is cut to what there is
    for title in ("", *_FIRST_TO_GO):
        if title in rows[0]:
            left_out.append(title)
        kept = [place for place, name in enumerate(rows[0]) if name not in left_out]
        shown = [[row[place] for place in kept] for row in rows]
        for longest, narrow in itertools.product(_LONGEST_NAMES, (False, True)):
            table = _table(shown, narrow=narrow, longest=longest)
            if Measurement.get(console, unbounded, table).maximum <= console.width:
                return table, left_out
    return table, left_out


def _table(rows: Sequence[Sequence[str]], *, narrow: bool, longest: int) -> Table:
    """Make a table; a narrow one has the words of its titles below each other.

    Args:
        rows: The titles, and the rows: names up to the arm's, then numbers.
        narrow: Whether titles wrap.
        longest: Characters of a name in one line.
    """
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    for place, header in enumerate(rows[0]):
        if place <= rows[0].index("arm"):
            table.add_column(Text(header), overflow="fold", max_width=longest)
            continue
        title = "\n".join(header.split()) if narrow else header
        widths = [*map(len, title.splitlines()), *(len(row[place]) for row in rows[1:])]
        table.add_column(Text(title), justify="right", no_wrap=True, min_width=max(widths))
    for row in rows[1:]:
        table.add_row(*map(Text, row))  # names are no markup
    return table
