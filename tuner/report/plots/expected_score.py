"""Draw the expected best validation score by search budget, in trials and in seconds."""

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
    line_style,
    make_figure,
)
from tuner.report.plots.picture import Sketch
from tuner.report.plots.subject import Look, Subject
from tuner.report.plots.units import axis_title, scale
from tuner.report.wording import LEAST_TRIALS, higher_is_better, missing, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT, _GAP = 150.0, 16.0
_UNITS = ((7200.0, 3600.0, "hours"), (180.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))
_MARKERS_OF_A_LINE = 10

Lines = dict[str, list[Row]]


def sketch_budget(subject: Subject) -> Sketch | None:
    """Draw score against trials and against time; None unless an arm has eight finished trials."""
    rows = [row for row in subject.rows("budget") if not missing(row["expected"])]
    lines = {
        arm: found for arm, found in subject.by_arm(rows).items() if len(found) >= LEAST_TRIALS
    }
    if not lines:
        return None
    score = f"validation {title(subject.metric)}"
    better = "higher" if higher_is_better(subject.metric) else "lower"
    caption = (
        f"Expected best {score} {subject.where} after so many random finished trials "
        "of an arm's search (left) and after the seconds that these take on average (right). "
        f"The arm whose line is {better} is the better choice at that budget. Dotted: pruned "
        "trials counted with their last score, which they might have surpassed."
    )
    paint = partial(_paint, lines, subject.looks, metric=subject.metric)
    return Sketch("Expected validation performance", caption, paint, subject.task, subject.model)


def _paint(lines: Lines, looks: Mapping[str, Look], *, metric: str) -> Figure:
    shown = {arm: looks[arm] for arm in lines}
    foot = legend_height(list(shown)) + BELOW
    figure = make_figure(foot + _HEIGHT + TOP)
    wide = (WIDTH - LEFT - _GAP - RIGHT) / 2
    left = add_axes(figure, (LEFT, foot, wide, _HEIGHT))
    right = add_axes(figure, (LEFT + wide + _GAP, foot, wide, _HEIGHT))
    right.sharey(left)
    right.tick_params(labelleft=False)
    longest = max(point["seconds"] for points in lines.values() for point in points)
    _, second, name = next(row for row in _UNITS if longest >= row[0] or not row[0])
    for arm, points in lines.items():
        values = [scale(metric) * point["expected"] for point in points]
        trials = [int(point["trials"]) for point in points]
        _steps(left, trials, values, looks[arm])
        bounds = [scale(metric) * point["bound"] for point in points]
        if bounds != values:
            left.plot(
                trials,
                bounds,
                color=looks[arm].colour,
                linewidth=0.8,
                linestyle=(0, (1, 1.5)),
                drawstyle="steps-post",
            )
        _steps(right, [point["seconds"] / second for point in points], values, looks[arm])
    left.set_xlabel("trials")
    left.locator_params(axis="x", integer=True)
    right.set_xlabel(name)
    right.set_xlim(left=0)
    left.set_ylabel("expected best\n" + axis_title("validation", metric))
    add_legend(figure, shown)
    return figure


def _steps(axes: Axes, places: Sequence[float], values: Sequence[float], look: Look) -> None:
    every = max(1, len(places) // _MARKERS_OF_A_LINE)
    style = line_style(look) | {"markersize": 3.5, "drawstyle": "steps-post"}
    axes.plot(places, values, markevery=every, **style)
