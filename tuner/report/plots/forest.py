"""Draw the differences that the study asks about: mean, interval, and the margin behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tuner.report.comparison import Row
from tuner.report.plots.layout import BELOW, CHARACTER, RIGHT, TOP, WIDTH, add_axes, make_figure
from tuner.report.plots.picture import Sketch
from tuner.report.plots.subject import Look, Subject, ink
from tuner.report.plots.units import scale, short
from tuner.report.wording import missing, title, unit_of, value_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW = 19.0
_LONGEST = 15
_MINUS = " − "  # noqa: RUF001  # a minus sign


def sketch_forest(subject: Subject) -> Sketch | None:
    """Draw a line a pair; None where no pair has an interval."""
    rows = [
        row
        for row in subject.rows("pairs")
        if row["metric"] == subject.metric and row["asked"] and not missing(row["ci_low"])
    ]
    if not rows:
        return None
    margin = rows[0]["margin"]
    within = (
        f" Shaded: the margin of {value_text(margin, subject.metric)} {unit_of(subject.metric)} "
        "up to which arms count as equally good."
        if margin
        else ""
    )
    caption = (
        f"Differences in test {title(subject.metric)} {subject.where}, first arm minus second, "
        f"with the interval that gives the verdict.{within} An interval that holds 0 leaves open "
        "which arm is better."
    )
    paint = partial(_paint, rows, subject.looks, metric=subject.metric)
    return Sketch("Differences", caption, paint, subject.task, subject.model)


def _paint(rows: Sequence[Row], looks: Mapping[str, Look], *, metric: str) -> Figure:
    factor = scale(metric)
    ordered = sorted(rows, key=lambda row: row["mean_difference"])
    height = _ROW * len(ordered)
    names = [
        _MINUS.join(short(row[side], _LONGEST) for side in ("arm_a", "arm_b")) for row in ordered
    ]
    left = CHARACTER * max(map(len, names)) + 12
    figure = make_figure(BELOW + height + TOP)
    axes = add_axes(figure, (left, BELOW, WIDTH - left - RIGHT, height))
    axes.grid(visible=False)
    axes.axvline(0, color=ink(), linewidth=0.8, zorder=1)
    if margin := factor * rows[0]["margin"]:
        axes.axvspan(-margin, margin, color=ink(), alpha=0.1, linewidth=0, zorder=0)
    for place, row in enumerate(ordered):
        look = looks[row["arm_a"]]
        ends = [factor * row["ci_low"], factor * row["ci_high"]]
        axes.plot(ends, [place, place], color=look.colour, linewidth=1.6, zorder=2)
        axes.plot(
            [factor * row["mean_difference"]],
            [place],
            color=look.colour,
            marker=look.marker,
            markersize=6,
            zorder=3,
        )
    axes.set_yticks(range(len(ordered)), names)
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    axes.set_xlabel(f"difference in test {title(metric)} ({unit_of(metric)})")
    return figure
