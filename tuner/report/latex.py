"""Write a comparison as LaTeX: a booktabs table for each task and model."""

from __future__ import annotations

from collections.abc import Iterator

from tuner.report.comparison import Comparison
from tuner.report.layout import NOTHING, UNFAIR, BlockView, block_views

_HEAD = "% \\usepackage{booktabs} and \\usepackage[T1]{fontenc}"
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


def render_latex(comparison: Comparison) -> str:
    """Return tables with the best mean in bold and those not shown to differ underlined."""
    views = list(block_views(comparison))
    if not views:
        return f"% {NOTHING}\n"
    lines = [_HEAD, *(f"% {UNFAIR}: {' '.join(flag.split())}." for flag in comparison.flags)]
    for view in views:
        lines += ["", *_table(view, comparison.flags)]
    return "\n".join([*lines, ""])


def _table(view: BlockView, flags: tuple[str, ...]) -> Iterator[str]:
    columns = len(view.titles)
    yield "\\begin{table}"
    yield "  \\centering\\small\\setlength{\\tabcolsep}{3pt}"
    yield f"  \\caption{{{_caption(view, flags)}}}"
    yield f"  \\begin{{tabular}}{{l{'r' * (columns - 1)}}}"
    yield "    \\toprule"
    yield f"    {' & '.join(map(_escape, view.titles))} \\\\"
    yield "    \\midrule"
    for row in view.rows:
        texts = [_escape(text) for text in row.texts]
        if row.best:
            texts[2] = f"\\textbf{{{texts[2]}}}"
        elif row.near_best:
            texts[2] = f"\\underline{{{texts[2]}}}"
        yield f"    {' & '.join(texts)} \\\\"
    yield "    \\bottomrule"
    yield "  \\end{tabular}"
    for arm, run_id in view.runs.items():
        yield f"  % MLflow run of {' '.join(arm.split())}: {run_id}"
    yield "\\end{table}"


def _caption(view: BlockView, flags: tuple[str, ...]) -> str:
    legend = "Best mean in bold, those not shown to differ from it underlined."
    parts = [f"{view.title}. {legend}", *view.notes]
    parts[:0] = [f"{UNFAIR}: {flag}." for flag in flags]
    return " ".join(map(_escape, parts))


def _escape(text: str) -> str:
    """Return text that LaTeX shows as it is; what its common fonts lack becomes a `?`."""
    plain = " ".join(text.split())
    return "".join(_MARKS.get(mark) or (mark if ord(mark) < 0x180 else "?") for mark in plain)
