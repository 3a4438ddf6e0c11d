"""Write a report as Markdown, for a README or a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from tuner.report.comparison import CAPTION, DOUBTFUL, NOTHING, READ_FIRST, UNFAIR
from tuner.report.contracts import Report, ReportForm
from tuner.report.view import TableRow, TableView


class Markdown(ReportForm):
    """Tables with their notes for a README; whatever makes them unfair comes first."""

    kind: Literal["md"] = "md"
    """File name of the form."""
    pictures: Literal["", "svg", "png"] = ""
    """Format of the pictures in the folder beside it, which it shows; empty: it shows none."""

    def files(self, report: Report) -> dict[str, str]:
        """Return `report.md`."""
        return {"report.md": "\n".join([*_lines(report, self.pictures), ""])}


def _lines(report: Report, pictures: str) -> Iterator[str]:
    comparison, places = report.comparison, report.comparison.places()
    if not places:
        yield NOTHING
        return
    said = report.answer
    if said.question:
        yield from (f"*{_escape(said.question)}*", "")
    first = [(UNFAIR, flag) for flag in comparison.flags]
    first += [(DOUBTFUL, warning) for warning in comparison.warnings]
    first += [(READ_FIRST, finding.rstrip(".")) for finding in comparison.findings]
    # A quotation's lines would flow into one paragraph.
    quoted = "\n>\n".join(f"> **{name}:** {_escape(text)}." for name, text in first)
    yield from (*quoted.splitlines(), "") if first else ()
    for place, line in enumerate(said.lines()):
        yield from (f"**{_escape(line)}**" if place < len(said.sentences) else _escape(line), "")
    views = report.views("text")
    for view in views:
        if view.section == "first":
            yield from _titled(view, "##")
    for task, model in places:
        here = [view for view in views if (view.task, view.model) == (task, model)]
        yield from (f"## {_escape(f'{task} · {model}')}", "")
        if own := said.of(task, model):
            yield from (_escape(own), "")
        yield from _block(here, comparison.notes_on(task, model), comparison.pages)
        if pictures:
            yield from _pictures(report, pictures, (task, model))
    for view in views:
        if view.task is None and view.section != "first":
            yield from _titled(view, "##")
    if pictures:
        yield from _pictures(report, pictures)
    if notes := comparison.notes_on():
        yield from (*(f"- {_escape(text)}" for text in notes), "")
    yield CAPTION


def _block(
    views: Sequence[TableView], notes: Sequence[str], pages: Mapping[str, str]
) -> Iterator[str]:
    """Yield the part on one task and model: its tables, its notes, its MLflow runs."""
    for view in views:
        if view.section in ("arms", "pairs"):  # the heading above says what they are about
            yield from _table(view)
    if notes:
        yield from (*(f"- {_escape(note)}" for note in notes), "")
    arms = [row for view in views if view.section == "arms" for row in view.rows]
    runs = [text for row in arms if (text := _runs(row, pages))]
    if runs:
        yield from (f"MLflow runs: {', '.join(runs)}.", "")
    for view in views:
        if view.section not in ("arms", "pairs"):
            yield from _titled(view, "###")


def _pictures(report: Report, suffix: str, place: tuple[str, str] | None = None) -> Iterator[str]:
    """Yield the pictures of a task and model, or those of the whole, with their captions."""
    for name, picture in report.pictures.items():
        own = None if picture.task is None else (picture.task, picture.model)
        if own == place:
            yield from (f"![{picture.title}](pictures/{name}.{suffix})", "")
            yield from (f"*{picture.title}.* {_escape(picture.caption)}", "")


def _runs(row: TableRow, pages: Mapping[str, str]) -> str:
    """Return an arm's run in MLflow and those of its seeds, as links where there are pages."""
    name = _escape(row.cells[0].text)
    seeds = [run_id for runs in row.runs if runs.label == "seeds" for run_id in runs.ids]
    links = [f"[{n}]({pages[one]})" for n, one in enumerate(seeds, start=1) if one in pages]
    for run_id in row.configuration:
        if run_id in pages:
            return f"[{name}]({pages[run_id]}) ({' '.join(links)})"
        return f"{name} `{run_id}`"
    return ""


def _titled(view: TableView, level: str) -> Iterator[str]:
    yield from (f"{level} {_escape(view.heading or view.title)}", "")
    yield from _table(view)


def _table(view: TableView) -> Iterator[str]:
    rows = [[_escape(cell.text) for cell in row.cells] for row in view.rows]
    # Right-aligned are the columns in which some row has a digit.
    words = [
        not any(any(map(str.isdigit, text)) for text in column)
        for column in zip(*rows, strict=True)
    ]
    yield _line([_escape(head.spelled or head.text) for head in view.headings])
    yield _line(["---" if place == 0 or word else "---:" for place, word in enumerate(words)])
    for texts, row in zip(rows, view.rows, strict=True):
        marks = {"best": "**{}**", "near": "<u>{}</u>"}
        cells = zip(texts, row.cells, strict=True)
        yield _line([marks.get(cell.mark, "{}").format(text) for text, cell in cells])
    yield ""
    if view.has_best:
        yield "Bold: the best mean. Underlined: equivalent to it."
        yield ""
    for text in view.below:
        yield from (_escape(text), "")


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _escape(text: str) -> str:
    """Keep a name from ending a table's cell or opening an HTML tag."""
    plain = " ".join(str(text).split())
    for mark, shown in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|")):
        plain = plain.replace(mark, shown)
    for mark in "`*$":
        plain = plain.replace(mark, f"\\{mark}")
    return plain
