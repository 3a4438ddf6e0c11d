"""Lay a picture out in points: its size, its axes, its legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tuner.report.plots.subject import Look, ink
from tuner.report.plots.units import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 360.0
"""Of every picture, in points; 480 pixels of a page."""
LEFT, RIGHT, TOP = 66.0, 10.0, 8.0
"""Margins around axes, in points."""
BELOW = 32.0
"""Room for an axis' numbers and title, in points."""
CHARACTER = 5.2
"""Width of a letter, in points; a little too much, so that nothing overlaps."""
_ROW = 13.0


def make_figure(height: float) -> Figure:
    """Return an empty figure, `WIDTH` by `height` points."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH / 72, height / 72))


def add_axes(figure: Figure, box: Sequence[float]) -> Axes:
    """Add axes with a light grid.

    Args:
        figure: The picture.
        box: Left, bottom, width and height, in points.
    """
    width, height = (72 * inches for inches in figure.get_size_inches())
    left, bottom, wide, high = box
    axes = figure.add_axes((left / width, bottom / height, wide / width, high / height))
    axes.grid(axis="y", color=ink(), alpha=0.15, linewidth=0.6)
    axes.tick_params(length=3, width=0.6, labelsize=8)
    return axes


def legend_height(labels: Sequence[str]) -> float:
    """Return how high the legend of these labels is, in points."""
    return _ROW * -(-len(labels) // _columns(labels)) + 4


def add_legend(figure: Figure, looks: Mapping[str, Look]) -> None:
    """Put a legend at the foot of a picture: labels with their marker, colour and dashes."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **line_style(look)) for look in looks.values()]
    figure.legend(
        handles,
        [short(label) for label in looks],
        loc="lower left",
        bbox_to_anchor=(0.0, 0.0),
        ncols=_columns(list(looks)),
        borderaxespad=0.2,
        columnspacing=1.2,
        handlelength=3.0,
        labelspacing=0.3,
    )


def line_style(look: Look) -> dict[str, Any]:
    """Return matplotlib's settings of an arm's line."""
    return {
        "color": look.colour,
        "marker": look.marker,
        "linestyle": look.dashes,
        "linewidth": 1.3,
        "markersize": 4.5,
    }


def spread(places: Sequence[float], least: float) -> list[float]:
    """Move ascending places apart to a least distance, and their middle as little as can be."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + least) if moved else place)
    shift = (sum(moved) - sum(places)) / len(moved)
    return [place - shift for place in moved]


def _columns(labels: Sequence[str]) -> int:
    widest = max((len(short(label)) for label in labels), default=1)
    return max(1, min(len(labels) or 1, int((WIDTH - 8) // (CHARACTER * widest + 42))))
