"""Draw the search: for each arm and searched field, the trials' scores against their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tuner.report.comparison import Row
from tuner.report.plots.layout import CHARACTER, LEFT, RIGHT, TOP, WIDTH, add_axes, make_figure
from tuner.report.plots.picture import Sketch
from tuner.report.plots.subject import Look, Subject, ink
from tuner.report.plots.units import axis_title, scale, short
from tuner.report.wording import as_number, missing, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL, _GAP, _BELOW, _ABOVE = 84.0, 14.0, 20.0, 15.0
_COLUMNS = 2
_MOST = 12
"""Panels of a picture; a study that searches more fields has them in its list of trials."""


@dataclass(frozen=True)
class _Panel:
    """One searched field of an arm."""

    about: Row
    """The arm's row of the frame `searched`."""
    trials: tuple[Row, ...]
    """Its trials that have a score and a value."""


def sketch_slices(subject: Subject) -> Sketch | None:
    """Draw a panel a searched field of an arm; None where no arm is searched."""
    frame = subject.rows("trials")
    trials = [row for row in frame if not missing(row["score"])]
    panels = []
    for about in subject.rows("searched"):
        here = tuple(
            row
            for row in trials
            if row["arm"] == about["arm"] and as_number(row.get(about["field"])) is not None
        )
        if here and as_number(about["chosen"]) is not None:
            panels.append(_Panel(about, here))
    if not panels:
        return None
    caption = (
        f"Search {subject.where}: validation {title(subject.metric)} of every trial against each "
        "searched value. Hollow: pruned, with its last score. Large: chosen. Dashed lines: the "
        "ends of the range. A chosen value at an end calls for a wider range."
    )
    if len(panels) > _MOST:
        caption += f" {len(panels) - _MOST} more are in the list of trials."
    paint = partial(_paint, panels[:_MOST], subject.looks, metric=subject.metric)
    return Sketch("What the search tried", caption, paint, subject.task, subject.model)


def _paint(panels: Sequence[_Panel], looks: Mapping[str, Look], *, metric: str) -> Figure:
    factor, lines = scale(metric), -(-len(panels) // _COLUMNS)
    high = _ABOVE + _PANEL + _BELOW
    figure = make_figure(lines * high + TOP)
    wide = (WIDTH - LEFT - RIGHT - _GAP * (_COLUMNS - 1)) / _COLUMNS
    first: Axes | None = None
    for place, panel in enumerate(panels):
        line, column = divmod(place, _COLUMNS)
        left, bottom = LEFT + column * (wide + _GAP), (lines - line - 1) * high + _BELOW
        axes = add_axes(figure, (left, bottom, wide, _PANEL))
        if first is None:
            first = axes
        else:
            axes.sharey(first)
        if column:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel(axis_title("validation", metric).replace(" (", "\n("), fontsize=7.5)
        _panel(axes, panel, look=looks[panel.about["arm"]], factor=factor)
        field = panel.about["field"].partition(".")[2]
        longest = int(wide / CHARACTER) - len(field) - 2
        axes.set_title(
            f"{short(panel.about['arm'], max(6, longest))}: {field}", fontsize=8, loc="left", pad=3
        )
    return figure


def _panel(axes: Axes, panel: _Panel, *, look: Look, factor: float) -> None:
    about = panel.about
    if not missing(about["low"]):
        for end in (about["low"], about["high"]):
            axes.axvline(end, color=ink(), linewidth=0.8, linestyle=(0, (3, 2)), alpha=0.6)
        if about["log"]:
            _log_axis(axes, about["low"], about["high"])
        else:
            room = 0.06 * (about["high"] - about["low"])
            axes.set_xlim(about["low"] - room, about["high"] + room)
            axes.locator_params(axis="x", nbins=4)
    for row in panel.trials:
        chosen = not missing(row["chosen"]) and bool(row["chosen"])
        pruned = row["state"] != "finished"
        axes.plot(
            [float(row[about["field"]])],
            [factor * row["score"]],
            color=look.colour,
            marker=look.marker,
            markersize=8 if chosen else 4.5,
            markerfacecolor="none" if pruned else look.colour,
            markeredgewidth=1.0,
            zorder=4 if chosen else 3,
        )


def _log_axis(axes: Axes, low: float, high: float) -> None:
    """Show the ends of a range on its logarithm, with the numbers at the ends alone."""
    axes.set_xscale("log")
    axes.set_xlim(low / (high / low) ** 0.06, high * (high / low) ** 0.06)
    axes.set_xticks([low, high], [f"{low:g}", f"{high:g}"])
    axes.minorticks_off()
