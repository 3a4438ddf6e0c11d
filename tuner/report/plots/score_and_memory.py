"""Draw the score against peak memory, with its interval, the time and the Pareto set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tuner.report.comparison import Row
from tuner.report.plots.layout import (
    BELOW,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    add_axes,
    add_legend,
    legend_height,
    make_figure,
)
from tuner.report.plots.picture import Sketch
from tuner.report.plots.subject import Look, Subject, ink
from tuner.report.plots.units import axis_title, scale, short
from tuner.report.wording import higher_is_better, missing, seconds_text, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 170.0
_GIB, _MIB = 2.0**30, 2.0**20


def sketch_tradeoff(subject: Subject) -> Sketch | None:
    """Draw a point an arm; None unless two arms have a score and a peak."""
    rows = [
        row
        for row in subject.rows("tradeoff")
        if not missing(row["score"]) and not missing(row["peak_memory_bytes"])
    ]
    if len(rows) < 2:
        return None
    score = title(subject.metric)
    better = "higher" if higher_is_better(subject.metric) else "lower"
    caption = (
        f"Test {score} ({better} is better) against the peak memory of training "
        f"{subject.where}: means over the seeds with the 95% interval of {score}, and the mean "
        "seconds of a run beside the name. Filled: in the Pareto set, so that no other arm is "
        "better in score, memory or seconds without being worse in another, small differences "
        "left aside. The stepped line joins the arms that none beats in score and memory alone."
    )
    parents = {row["arm"]: row["parent_run_id"] for row in subject.rows("cells")}
    pages = {arm: subject.page(parent) for arm, parent in parents.items()}
    paint = partial(_paint, rows, subject.looks, pages=pages, metric=subject.metric)
    return Sketch("Score, memory and time", caption, paint, subject.task, subject.model)


def _paint(
    rows: Sequence[Row],
    looks: Mapping[str, Look],
    *,
    pages: Mapping[str, str | None],
    metric: str,
) -> Figure:
    factor = scale(metric)
    size, name = _unit([row["peak_memory_bytes"] for row in rows])
    shown = {_label(row): looks[row["arm"]] for row in rows}
    foot = legend_height(list(shown)) + BELOW
    figure = make_figure(foot + _HEIGHT + TOP)
    axes = add_axes(figure, (LEFT, foot, WIDTH - LEFT - RIGHT, _HEIGHT))
    front = pareto_steps(rows, higher=higher_is_better(metric))
    axes.plot(
        [row["peak_memory_bytes"] / size for row in front],
        [factor * row["score"] for row in front],
        color=ink(),
        alpha=0.45,
        linewidth=1.0,
        drawstyle="steps-post",
        zorder=1,
    )
    for row in rows:
        arm = row["arm"]
        _point(axes, row, scales=(size, factor), look=looks[arm], page=pages[arm])
    axes.margins(x=0.08, y=0.08)
    axes.set_xlabel(f"peak memory of training ({name})")
    axes.set_ylabel(axis_title("test", metric))
    add_legend(figure, shown)
    return figure


def _label(row: Row) -> str:
    return f"{short(row['arm'], 16)}, {seconds_text(row['seconds'])} s"


def _unit(peaks: Sequence[float]) -> tuple[float, str]:
    return (_GIB, "GiB") if max(peaks) >= _GIB else (_MIB, "MiB")


def pareto_steps(rows: Sequence[Row], *, higher: bool) -> list[Row]:
    """Return the rows that none beats in score and memory, by growing memory."""
    sign = 1 if higher else -1
    front: list[Row] = []
    for row in sorted(rows, key=lambda row: (row["peak_memory_bytes"], -sign * row["score"])):
        if not front or sign * row["score"] > sign * front[-1]["score"]:
            front.append(row)
    return front


def _point(
    axes: Axes, row: Row, *, scales: tuple[float, float], look: Look, page: str | None
) -> None:
    size, factor = scales
    place, value = row["peak_memory_bytes"] / size, factor * row["score"]
    if not missing(row["score_low"]):
        ends = [factor * row["score_low"], factor * row["score_high"]]
        axes.plot([place, place], ends, color=look.colour, linewidth=1.2, zorder=2)
    filled = not missing(row["pareto"]) and bool(row["pareto"])
    axes.plot(
        [place],
        [value],
        url=page,
        color=look.colour,
        marker=look.marker,
        markersize=7,
        zorder=3,
        markerfacecolor=look.colour if filled else "none",
        markeredgewidth=1.4,
    )
