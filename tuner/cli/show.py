"""Print tables: a study's comparison, and what a study may name."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from trainers.interfaces import Method, ModelSource, Task
from trainers.plugins import Plugin, kinds, named, plugin_class
from tuner.cli.report import keep
from tuner.config import (
    EXECUTORS,
    ExecutorSettings,
    Login,
    describe_ds_config,
    ds_configs,
    split_login,
    study_names,
)
from tuner.report import report_of_run
from tuner.study.run import StudyOutcome

_PLUGINS: dict[str, tuple[type[Plugin], str]] = {
    "methods": (Method, "trainers.methods"),
    "tasks": (Task, "trainers.tasks"),
    "models": (ModelSource, "trainers.models"),
    "executors": (ExecutorSettings, EXECUTORS),
}
"""Base and package of the plug-ins that `list` lists, by noun."""

_FIRST_TO_GO = ("of these head", "trained parameters", "accuracy", "seconds", "peak memory")
"""Columns that a narrow terminal does without."""
_LONGEST_NAMES = (40, 16)
"""Characters of a name in one line, where there is room, and where there is little."""


@dataclass(frozen=True)
class Place:
    """Where a study was run, as its user named it."""

    store: Path
    tracking: str | None

    @property
    def runs(self) -> str | Path:
        """Where its runs are recorded."""
        return self.tracking or self.store

    def options(self) -> str:
        """Return the options that name it, for a line to type; a login is not repeated."""
        store = "" if self.store == Path("mlruns") else f" --store {self.store}"
        return f" --tracking {self.login.address}" if self.tracking else store

    @property
    def login(self) -> Login:
        """The server's address, and apart from it its login."""
        return split_login(self.tracking or "")


def show_outcome(console: Console, outcome: StudyOutcome, *, study: str, place: Place) -> None:
    """Print the comparison, what failed, and how to look further."""
    report = report_of_run(outcome.cells, outcome.faults, store=place.runs)
    keep(report, place.runs)
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
        if cell not in outcome.faults:  # those are said to have failed
            console.print(f"not finished: {cell}", style="yellow", markup=False)
    if outcome.out_of_time:
        said = f"The time was up for {len(outcome.late)} of the cells"
        console.print(f"{said}; the same command goes on with what is left.", markup=False)
    page = place.login.address if place.tracking else f"tuner ui{place.options()}"
    console.print("\nLook further:", highlight=False)
    console.print(f"  {page}", highlight=False)
    console.print(f"  tuner report {study}{place.options()}", highlight=False)
    if place.login.user:
        console.print(
            "with the login in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
            highlight=False,
        )


def fitting_table(console: Console, rows: Sequence[Sequence[str]]) -> tuple[Table, list[str]]:
    """Return a table that fits, and the titles of the columns left out for that.

    Numbers never wrap, and long names of tasks, models and arms do before a column is left out.
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


def show_list(noun: str) -> None:
    """Print the names of a kind of thing, each with a line about it."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("name", no_wrap=True)
    table.add_column("is")
    for name, about in _lines(noun):
        table.add_row(name, about.replace("[", r"\["))
    Console().print(table)


def _lines(noun: str) -> Iterable[tuple[str, str]]:
    if noun == "studies":
        from tuner.config import load_study

        return [(name, load_study(name).description) for name in study_names()]
    if noun == "ds-configs":
        return [(name, describe_ds_config(content)) for name, content in ds_configs().items()]
    base, package = _PLUGINS[noun]
    lines = {name: _about(base, package, s["kind"]) for name, s in named(base, package).items()}
    lines |= {kind: _about(base, package, kind) for kind in kinds(base, package)}
    return sorted(lines.items())


def _about(base: type[Plugin], package: str, kind: str) -> str:
    plugin = plugin_class(base, package, kind)
    fields = [name for name in plugin.model_fields if name not in ("kind", "name")]
    first = (plugin.__doc__ or "").strip().splitlines()[0]
    return f"{first} ({', '.join(fields)})" if fields else first
