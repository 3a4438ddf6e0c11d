"""Draw loss curves: training and validation over the steps, mean and band over the seeds."""

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
from tuner.report.wording import missing, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL, _GAP = 92.0, 10.0
_MOST_POINTS = 250
_MARKERS_OF_A_LINE = 8

Lines = dict[str, list[Row]]
"""A series' points by arm."""


def sketch_curves(subject: Subject) -> Sketch | None:
    """Draw a panel for each series that has two steps or more; None if none has."""
    rows = subject.rows("curves")
    series = sorted({row["series"] for row in rows}, key=_order)
    panels: dict[str, Lines] = {}
    for name in series:
        lines = subject.by_arm([row for row in rows if row["series"] == name])
        lines = {arm: points for arm, points in lines.items() if len(points) > 1}
        if lines:
            panels[name] = lines
    if not panels:
        return None
    names = ", ".join(map(_title, panels))
    caption = (
        f"{names[0].upper()}{names[1:]} by optimizer step {subject.where}: "
        "the line of an arm is the mean over its confirm seeds, the band one standard deviation "
        "to each side."
    )
    paint = partial(_paint, panels, subject.looks)
    return Sketch("Learning curves", caption, paint, subject.task, subject.model)


def _order(series: str) -> tuple[bool, bool, str]:
    split, _, metric = series.partition("/")
    return (split != "train", metric != "loss", series)


def _title(series: str) -> str:
    split, _, metric = series.partition("/")
    return f"{'training' if split == 'train' else split} {title(metric)}"


def _paint(panels: Mapping[str, Lines], looks: Mapping[str, Look]) -> Figure:
    shown = {arm: looks[arm] for arm in looks if any(arm in lines for lines in panels.values())}
    foot = legend_height(list(shown)) + BELOW
    figure = make_figure(foot + len(panels) * (_PANEL + _GAP) + TOP)
    last: Axes | None = None
    for place, (series, lines) in enumerate(reversed(list(panels.items()))):
        bottom = foot + place * (_PANEL + _GAP)
        axes = add_axes(figure, (LEFT, bottom, WIDTH - LEFT - RIGHT, _PANEL))
        for arm, points in lines.items():
            _line(axes, points, factor=scale(series.partition("/")[2]), look=looks[arm])
        axes.set_ylabel(_axis_title(series), fontsize=8)
        # At one distance, however wide the numbers of a panel are.
        axes.yaxis.set_label_coords(-0.135, 0.5)
        if last is None:
            axes.set_xlabel("optimizer step")
        else:
            axes.sharex(last)
            axes.tick_params(labelbottom=False)
        last = axes
    add_legend(figure, shown)
    return figure


def _axis_title(series: str) -> str:
    split, _, metric = series.partition("/")
    return axis_title(split, metric).replace(" (", "\n(")


def _line(axes: Axes, points: Sequence[Row], *, factor: float, look: Look) -> None:
    stride = -(-len(points) // _MOST_POINTS)
    # Counted from the end, so that the last step is always drawn.
    points = points[::-1][::stride][::-1]
    steps = [int(point["step"]) for point in points]
    style = line_style(look) | {"markersize": 3.5}
    every = max(1, len(points) // _MARKERS_OF_A_LINE)
    axes.plot(steps, [factor * point["mean"] for point in points], markevery=every, **style)
    band = [point for point in points if not missing(point["low"])]
    if band:
        axes.fill_between(
            [int(point["step"]) for point in band],
            [factor * point["low"] for point in band],
            [factor * point["high"] for point in band],
            color=look.colour,
            alpha=0.15,
            linewidth=0,
        )
