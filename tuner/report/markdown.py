"""Write a comparison as Markdown, for a README or a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tuner.report.comparison import CAPTION, DOUBTFUL, NOTHING, UNFAIR, Comparison
from tuner.report.layout import BlockView, block_views, untraded
from tuner.report.wording import missing, number_text, percent_text, title, value_text


def render_markdown(comparison: Comparison) -> str:
    """Return the tables with their notes; whatever makes them unfair comes first."""
    views = list(block_views(comparison))
    if not views:
        return f"{NOTHING}\n"
    first = [(UNFAIR, flag) for flag in comparison.flags]
    first += [(DOUBTFUL, warning) for warning in comparison.warnings]
    # A quotation's lines would flow into one paragraph.
    lines = "\n>\n".join(f"> **{name}:** {_escape(text)}." for name, text in first).splitlines()
    lines += [""] if lines else []
    for view in views:
        lines += _block(view)
    lines += _tradeoff(comparison)
    lines += _references(comparison)
    lines += _variance(comparison)
    whole = [note.text for note in comparison.notes if note.task is None]
    if whole:
        lines += [*(f"- {_escape(text)}" for text in whole), ""]
    return "\n".join([*lines, CAPTION, ""])


def _block(view: BlockView) -> Iterator[str]:
    yield from (f"## {_escape(view.title)}", "")
    rows = []
    for row in view.rows:
        texts = list(map(_escape, row.texts))
        if row.best:
            texts[2] = f"**{texts[2]}**"
        elif row.near_best:
            texts[2] = f"<u>{texts[2]}</u>"
        rows.append(texts)
    yield from _table(view.titles, rows)
    if any(row.best for row in view.rows):
        yield from (
            "Bold: the best mean. Underlined: compared with it and not shown to differ.",
            "",
        )
    if view.pair_rows:
        yield from _table(view.pair_titles, [list(map(_escape, row)) for row in view.pair_rows])
    if view.notes:
        yield from (*(f"- {_escape(note)}" for note in view.notes), "")
    runs = ", ".join(f"{_escape(arm)} `{run_id}`" for arm, run_id in view.runs.items())
    yield from (f"MLflow runs: {runs}.", "") if runs else ()


def _tradeoff(comparison: Comparison) -> Iterator[str]:
    frame = comparison.tradeoff
    if len(frame) < 2:
        return
    titles: tuple[str, ...] = (
        "cell",
        "Pareto-optimal",
        "over resampled seeds",
        "seeds",
        "memory saved: mean peak",
    )
    titles += ("largest peak", "with evaluation")
    rows = [
        [
            _escape(f"{row['task']} · {row['model']} · {row['arm']}"),
            "yes" if row["pareto"] else "no",
            percent_text(row["pareto_probability"]),
            str(row["seeds"]),
            *(
                percent_text(row[f"saved_{name}"])
                for name in ("peak", "largest_peak", "with_eval")
            ),
        ]
        for row in frame.to_dict("records")
    ]
    against = comparison.baseline or "the arm that takes most"
    yield from ("## Score, memory, time", "")
    yield from _table(titles, rows)
    yield from (
        f"Pareto-optimal: no other arm is as good in mean {title(comparison.metric)}, peak memory "
        f"and seconds at once and better in one. Saved: share of the peak of {_escape(against)}; "
        "of the training phase (mean and largest over the runs), and with evaluation.",
        "",
    )
    for task, model in dict.fromkeys(zip(frame["task"], frame["model"], strict=True)):
        if said := untraded(comparison, task, model):
            yield from (_escape(f"{task} · {model}: {said}"), "")


def _references(comparison: Comparison) -> Iterator[str]:
    frame = comparison.references
    if not len(frame):
        return
    titles: tuple[str, ...] = (
        "source",
        "task",
        "model",
        "method",
        "metric",
        "published",
        "arm",
        "ours",
    )
    titles += ("difference", "its standard error")
    rows = []
    for row in frame.to_dict("records"):
        metric = row["metric"]
        theirs, ours = (
            f"{value_text(row[f'{who}mean'], metric)} ± {value_text(row[f'{who}std'], metric)} "
            f"({row[f'{who}n']})"
            for who in ("published_", "")
        )
        rows.append(
            [
                *(_escape(row[name]) for name in ("source", "task", "model", "method")),
                _escape(title(metric)),
                theirs,
                _escape(row["arm"]),
                ours,
                value_text(row["difference"], metric, signed=True),
                value_text(row["standard_error"], metric),
            ]
        )
    yield from ("## Beside published numbers", "")
    yield from _table(titles, rows)


def _variance(comparison: Comparison) -> Iterator[str]:
    frame = comparison.variance
    if not len(frame):
        return
    rows = [
        [
            _escape(f"{row['task']} · {row['model']} · {row['arm']}"),
            _escape(row["source"]),
            "-" if missing(row["variance"]) else number_text(100 * row["variance"] ** 0.5),
            percent_text(row["share"]),
        ]
        for row in frame.to_dict("records")
    ]
    yield from ("## Where the spread comes from", "")
    yield from _table(("cell", "source", "standard deviation", "share of the variance"), rows)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _line([_escape(text) for text in titles])
    words = [
        all(not any(map(str.isdigit, row[index])) for row in rows) for index in range(len(titles))
    ]
    yield _line(["---" if index == 0 or word else "---:" for index, word in enumerate(words)])
    yield from map(_line, rows)
    yield ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    """Keep a name from ending a table's cell or opening an HTML tag."""
    plain = " ".join(str(text).split())
    for mark, shown in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|")):
        plain = plain.replace(mark, shown)
    for mark in "`*$":
        plain = plain.replace(mark, f"\\{mark}")
    return plain
