"""Draw a critical-difference diagram: mean ranks over tasks, with bars over equals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tuner.report.comparison import Row
from tuner.report.plots.layout import WIDTH, make_figure, spread
from tuner.report.plots.picture import Sketch
from tuner.report.plots.subject import Look, ink
from tuner.report.plots.units import short
from tuner.report.wording import missing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tuner.report.comparison import Comparison

_LEFT, _RIGHT = 120.0, 120.0
_ROW, _BAR = 15.0, 6.0
_AXIS = 46.0
_APART = 2.2
"""Least distance of the arms' lines, so that those of equal ranks can be told apart."""


def sketch_ranks(comparison: Comparison, looks: Mapping[str, Look]) -> Iterator[Sketch]:
    """Draw a diagram for each model that has a critical difference."""
    for model, frame in comparison.frames["ranks"].groupby("model"):
        rows: list[Row] = list(frame.sort_values(["mean_rank", "arm"]).to_dict("records"))
        if len(rows) < 2 or missing(rows[0]["critical_difference"]):
            continue
        caption = (
            f"Mean ranks of the arms over {rows[0]['tasks']} tasks with {model}, 1 is best. Arms "
            "under a common bar are not separable: their mean ranks differ by no more than the "
            f"critical difference, {rows[0]['critical_difference']:.2f} (Nemenyi's test at 5%)."
        )
        paint = partial(_paint, rows, looks)
        yield Sketch("Critical difference", caption, paint, None, str(model))


def _paint(rows: Sequence[Row], looks: Mapping[str, Look]) -> Figure:
    """Paint in points, from the top left: axis, bars, then the arms' names at both sides."""
    ranks = [float(row["mean_rank"]) for row in rows]
    difference = float(rows[0]["critical_difference"])
    groups = critical_groups(ranks, difference)
    names = _AXIS + 8 + _BAR * len(groups)
    height = names + _ROW * (-(-len(rows) // 2)) + 4
    figure = make_figure(height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    step = (WIDTH - _LEFT - _RIGHT) / (len(rows) - 1)
    places = spread([_LEFT + step * (rank - 1) for rank in ranks], _APART)
    _axis(axes, len(rows), step=step, difference=difference)
    for place, (first, last) in enumerate(groups):
        level = _AXIS + 7 + _BAR * place
        ends = [places[first] - 3, places[last] + 3]
        axes.plot(ends, [level, level], color=ink(), linewidth=3, solid_capstyle="butt")
    half = (len(rows) + 1) // 2
    for place, row in enumerate(rows):
        left = place < half
        level = names + _ROW * (place if left else len(rows) - 1 - place) + 6
        corner = (places[place], level)
        _name(axes, row, corner=corner, look=looks[row["arm"]], left=left)
    return figure


def _axis(axes: Axes, count: int, *, step: float, difference: float) -> None:
    axes.plot([_LEFT, _LEFT + step * (count - 1)], [_AXIS, _AXIS], color=ink(), linewidth=0.8)
    for rank in range(1, count + 1):
        place = _LEFT + step * (rank - 1)
        axes.plot([place, place], [_AXIS - 4, _AXIS], color=ink(), linewidth=0.8)
        axes.text(place, _AXIS - 7, str(rank), ha="center", va="bottom")
    end = _LEFT + step * difference
    axes.plot([_LEFT, end], [16, 16], color=ink(), linewidth=1.6)
    for place in (_LEFT, end):
        axes.plot([place, place], [13, 19], color=ink(), linewidth=0.8)
    axes.text(end + 5, 16, f"critical difference {difference:.2f}", va="center", fontsize=8)


def _name(axes: Axes, row: Row, *, corner: tuple[float, float], look: Look, left: bool) -> None:
    place, level = corner
    edge = _LEFT - 12 if left else WIDTH - _RIGHT + 12
    axes.plot([place, place, edge], [_AXIS - 3, level, level], color=look.colour, linewidth=1.2)
    # At the name and not on the axis, where markers of equal ranks would cover each other.
    axes.plot([edge], [level], color=look.colour, marker=look.marker, markersize=4.5)
    text = f"{short(row['arm'], 18)} {row['mean_rank']:.2f}"
    edge += -6 if left else 6
    axes.text(edge, level, text, ha="right" if left else "left", va="center", fontsize=8)


def critical_groups(ranks: Sequence[float], difference: float) -> list[tuple[int, int]]:
    """Return first and last place of each longest row of arms within the critical difference."""
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(p for p, other in enumerate(ranks) if other - rank <= difference)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
