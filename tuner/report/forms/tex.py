"""Write a report as LaTeX: booktabs tables for a paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from tuner.report.comparison import DOUBTFUL, NOTHING, UNFAIR, Comparison
from tuner.report.contracts import Report, ReportForm
from tuner.report.view import TableView
from tuner.report.wording import title

_HEAD = "% \\usepackage{booktabs}, \\usepackage{graphicx} and \\usepackage[T1]{fontenc}"
_SHRUNK = "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%"
"""Begins a table that is shrunk where it is wider than the page."""
_UNSEEN = "unseen rows"
"""The short heading of a score that is explained below the table."""
_MARKS = {
    "\\": "\\textbackslash{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    '"': "\\textquotedbl{}",
    "±": "$\\pm$",
    "−": "$-$",  # noqa: RUF001  # a minus sign
    "·": "$\\cdot$",
}


class Latex(ReportForm):
    """Booktabs tables for a paper: the best mean in bold, those not shown to differ underlined."""

    kind: Literal["tex"] = "tex"
    """File name of the form."""

    def files(self, report: Report) -> dict[str, str]:
        """Return `report.tex`."""
        return {"report.tex": "\n".join([*_lines(report), ""])}


def _lines(report: Report) -> Iterator[str]:
    comparison = report.comparison
    if not comparison.places():
        yield f"% {NOTHING}"
        return
    yield _HEAD
    for line in (*report.answer.lines(), *comparison.findings):
        yield f"{_escape(line)}\n"
    yield from (f"% {UNFAIR}: {' '.join(flag.split())}." for flag in comparison.flags)
    yield from (f"% {DOUBTFUL}: {' '.join(text.split())}." for text in comparison.warnings)
    labels: set[str] = set()
    for view in report.views("narrow"):
        yield ""
        yield from _table(view, comparison, _label(view, labels))


def _label(view: TableView, taken: set[str]) -> str:
    """Return a name to refer to a table by, such as `tab:restaurant-minilm-arms`."""
    about = (view.task, view.model, "arms" if view.section == "arms" else view.title)
    words = re.findall(r"[a-z0-9]+", " ".join(filter(None, about)).lower())
    name = "-".join(words[:8])
    while name in taken:
        name += "-more"
    taken.add(name)
    return f"tab:{name}"


def _table(view: TableView, comparison: Comparison, label: str) -> Iterator[str]:
    names = [_escape(head.short or head.text) for head in view.headings]
    yield "\\begin{table}"
    yield "  \\centering\\footnotesize\\setlength{\\tabcolsep}{3pt}"
    yield f"  \\caption{{{_escaped_caption(view, comparison)}}}"
    yield f"  \\label{{{label}}}"
    aligned = "".join("r" if head.numeric else "l" for head in view.headings)
    if view.section == "first":
        yield f"  {_SHRUNK}"
    yield f"  \\begin{{tabular}}{{{aligned}}}"
    yield "    \\toprule"
    yield f"    {' & '.join(names)} \\\\"
    yield "    \\midrule"
    marks = {"best": "\\textbf{{{}}}", "near": "\\underline{{{}}}"}
    for row in view.rows:
        cells = [marks.get(cell.mark, "{}").format(_escape(cell.text)) for cell in row.cells]
        yield f"    {' & '.join(cells)} \\\\"
    yield "    \\bottomrule"
    yield "  \\end{tabular}" + ("}" if view.section == "first" else "")
    if view.section == "arms":
        for note in comparison.notes_on(view.task, view.model):
            yield f"  % {' '.join(note.split())}"
        for row in view.rows:
            for run_id in row.configuration:
                yield f"  % MLflow run of {' '.join(row.cells[0].text.split())}: {run_id}"
    yield "\\end{table}"


def _escaped_caption(view: TableView, comparison: Comparison) -> str:
    place = "" if view.task is None else f"{view.task} · {view.model}: "
    if view.section != "arms":
        return _escape(f"{place}{view.title}.")
    legend = "Best mean in bold; underlined those equivalent to it."
    parts = [f"{UNFAIR}: {flag}." for flag in comparison.flags]
    parts.append(f"{place}mean and standard deviation over n seeds. {legend}")
    if any(head.short == _UNSEEN for head in view.headings):
        metric = title(comparison.metric)
        parts.append(f"Unseen rows: {metric} without the test rows that train has.")
    return " ".join(map(_escape, parts))


def _escape(text: str) -> str:
    """Return text that LaTeX shows as it is; letters that common fonts lack, by number."""
    plain = " ".join(text.split())
    return "".join(_MARKS.get(mark) or _letter(mark) for mark in plain)


def _letter(mark: str) -> str:
    return mark if ord(mark) < 0x180 else f"[U+{ord(mark):04X}]"
