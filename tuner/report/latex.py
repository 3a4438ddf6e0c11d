"""Write a comparison as LaTeX: a booktabs table for each task and model."""

from __future__ import annotations

from collections.abc import Iterator

from tuner.report.comparison import DOUBTFUL, NOTHING, UNFAIR, Comparison
from tuner.report.layout import BlockView, block_views

_HEAD = "% \\usepackage{booktabs} and \\usepackage[T1]{fontenc}"
_LEFT_OUT = ("95% interval", "trials", "of these head")
"""Columns for which a page has no room."""
_UNSEEN = "unseen rows"
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
    lines += [f"% {DOUBTFUL}: {' '.join(text.split())}." for text in comparison.warnings]
    for view in views:
        lines += ["", *_table(view, comparison.flags)]
    return "\n".join([*lines, ""])


def _table(view: BlockView, flags: tuple[str, ...]) -> Iterator[str]:
    kept = [index for index, title in enumerate(view.titles) if title not in _LEFT_OUT]
    yield "\\begin{table}"
    yield "  \\centering\\footnotesize\\setlength{\\tabcolsep}{3pt}"
    yield f"  \\caption{{{_caption(view, flags)}}}"
    yield f"  \\begin{{tabular}}{{l{'r' * (len(kept) - 1)}}}"
    yield "    \\toprule"
    yield f"    {' & '.join(_escape(_short(view.titles[index])) for index in kept)} \\\\"
    yield "    \\midrule"
    for row in view.rows:
        texts = [_escape(text) for text in row.texts]
        if row.best:
            texts[2] = f"\\textbf{{{texts[2]}}}"
        elif row.near_best:
            texts[2] = f"\\underline{{{texts[2]}}}"
        yield f"    {' & '.join(texts[index] for index in kept)} \\\\"
    yield "    \\bottomrule"
    yield "  \\end{tabular}"
    yield from (f"  % {' '.join(note.split())}" for note in view.notes)
    for arm, run_id in view.runs.items():
        yield f"  % MLflow run of {' '.join(arm.split())}: {run_id}"
    yield "\\end{table}"


def _caption(view: BlockView, flags: tuple[str, ...]) -> str:
    legend = "Best mean in bold; underlined those compared with it and not shown to differ."
    parts = [f"{view.title}: mean and standard deviation over n seeds. {legend}"]
    if any(title.endswith(_UNSEEN) for title in view.titles):
        parts.append(f"Unseen rows: {view.titles[2]} without the test rows that train has.")
    # What the seeds cannot tell belongs into the paper; the other notes are comments.
    parts += [note for note in view.notes if "not separable" in note][:1]
    parts[:0] = [f"{UNFAIR}: {flag}." for flag in flags]
    return " ".join(map(_escape, parts))


def _short(title: str) -> str:
    """Return a title that leaves room for the numbers."""
    short = {"trained parameters": "trained", "peak memory": "memory"}.get(title, title)
    return _UNSEEN if title.endswith(_UNSEEN) else short


def _escape(text: str) -> str:
    """Return text that LaTeX shows as it is; what its common fonts lack, by its number."""
    plain = " ".join(text.split())
    return "".join(_MARKS.get(mark) or _letter(mark) for mark in plain)


def _letter(mark: str) -> str:
    return mark if ord(mark) < 0x180 else f"[U+{ord(mark):04X}]"
