"""Draw which class was taken for which: a matrix an arm, over its confirm runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tuner.report.comparison import Row
from tuner.report.plots.layout import CHARACTER, WIDTH, make_figure
from tuner.report.plots.picture import Sketch
from tuner.report.plots.subject import Look, Subject
from tuner.report.plots.units import short
from tuner.report.wording import percent_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_CLASSES = 10
_DARKEST = 0.5
"""Opacity of a share of 1, so that text on it can be read."""
_LONGEST = 13
_ABOVE, _HIGH, _GAP = 17.0, 15.0, 26.0
_TWO_COLUMNS = 4
"""Up to so many classes, two matrices stand side by side."""


def sketch_confusion(subject: Subject) -> Sketch | None:
    """Draw a matrix an arm; None where predictions lack, or classes are too many."""
    rows = subject.rows("confusion")
    labels = list(dict.fromkeys(row["label"] for row in rows))
    if not labels or len(labels) > _MOST_CLASSES:
        return None
    caption = (
        f"Predictions on the test rows {subject.where}, over the confirm seeds: each line is a "
        "true class, each column a predicted one, each number the share of the class's rows in "
        "percent. A column of zeros is a class that is never predicted."
    )
    paint = partial(_paint, subject.by_arm(rows), labels, subject.looks)
    return Sketch("Classes taken for each other", caption, paint, subject.task, subject.model)


def _paint(
    arms: Mapping[str, Sequence[Row]], labels: Sequence[str], looks: Mapping[str, Look]
) -> Figure:
    columns = 2 if len(labels) <= _TWO_COLUMNS else 1
    lines = -(-len(arms) // columns)
    names = CHARACTER * min(_LONGEST, max(map(len, labels))) + 6
    high = _ABOVE + _HIGH * len(labels) + _GAP
    figure = make_figure(lines * high)
    wide = WIDTH / columns - names - 8
    for place, (arm, rows) in enumerate(arms.items()):
        line, column = divmod(place, columns)
        left = column * WIDTH / columns + names
        bottom = (lines - line - 1) * high + _GAP
        size = (left / WIDTH, bottom / (lines * high))
        share = (wide / WIDTH, _HIGH * len(labels) / (lines * high))
        axes = figure.add_axes((*size, *share))
        _matrix(axes, rows, labels, look=looks[arm])
        axes.set_title(short(arm, 24), fontsize=8.5, loc="left", pad=4)
    return figure


def _matrix(axes: Axes, rows: Sequence[Row], labels: Sequence[str], *, look: Look) -> None:
    from matplotlib.patches import Rectangle

    for row in rows:
        x, y = labels.index(row["predicted"]), labels.index(row["label"])
        alpha = _DARKEST * row["share"]
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor=look.colour, alpha=alpha, linewidth=0))
        axes.text(
            x + 0.5,
            y + 0.5,
            percent_text(row["share"]).removesuffix("%"),
            ha="center",
            va="center",
            fontsize=7.5,
            fontweight="bold" if x == y else "normal",
        )
    middles = [place + 0.5 for place in range(len(labels))]
    longest = _LONGEST if len(labels) <= _TWO_COLUMNS else 7
    width = WIDTH / (2 if len(labels) <= _TWO_COLUMNS else 1) / (len(labels) + 1) / CHARACTER
    axes.set_xticks(middles, [short(n, max(3, min(longest, int(width)))) for n in labels])
    axes.set_yticks(middles, [short(name, _LONGEST) for name in labels])
    axes.tick_params(length=0, labelsize=7.5)
    axes.set_xlim(0, len(labels))
    axes.set_ylim(len(labels), 0)
    for side in axes.spines.values():
        side.set_visible(True)
