"""Draw every confirm run as a dot, a column an arm, with lines that join the same seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from tuner.report.comparison import Row
from tuner.report.plots.layout import (
    CHARACTER,
    LEFT,
    TOP,
    WIDTH,
    add_axes,
    make_figure,
    spread,
)
from tuner.report.plots.picture import Sketch
from tuner.report.plots.subject import Look, Subject, ink
from tuner.report.plots.units import axis_title, scale, short
from tuner.report.wording import missing, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 190.0
_MOST_LABELS = 8
_LINE_OF_TEXT = 9.5
_LONGEST_TICK = 18
_HALF_BAR = 0.22
_DOT = 5.0
_FARTHEST = 0.42
"""How far a dot may be moved aside, in distances of two arms."""

Scores = dict[str, dict[str, float]]
"""The scaled score of each run: by arm, then by seed."""
Pages = Mapping[str, Mapping[str, str | None]]
"""The address of MLflow's page of each run: by arm, then by seed."""


def sketch_seeds(subject: Subject) -> Sketch | None:
    """Draw the dots; None unless two arms share a seed and there are two seeds or more."""
    column = f"test/{subject.metric}"
    if column not in subject.comparison.frames["runs"]:
        return None
    rows = [row for row in subject.rows("runs") if not missing(row[column])]
    factor, with_data = scale(subject.metric), len({row["data_seed"] for row in rows}) > 1
    scores: Scores = {
        arm: {_seed(row, with_data): factor * row[column] for row in found}
        for arm, found in subject.by_arm(rows).items()
    }
    pages = {
        arm: {_seed(row, with_data): subject.page(row["run_id"]) for row in found}
        for arm, found in subject.by_arm(rows).items()
    }
    runs_of_seed: defaultdict[str, int] = defaultdict(int)
    for seed in (seed for found in scores.values() for seed in found):
        runs_of_seed[seed] += 1
    if len(runs_of_seed) < 2 or max(runs_of_seed.values()) < 2:
        return None
    kind = "init/order/data" if with_data else "init, or init/order where these differ"
    caption = (
        f"Test {title(subject.metric)} of every confirm run {subject.where}: a "
        "dot is a run, moved aside where it would cover another, a grey line joins the runs of "
        "one seed across arms, a bar is an arm's mean. Where lines run in parallel, the "
        "difference between two arms is the same whatever the seed; where they cross, it depends "
        "on the seed."
    )
    if len(runs_of_seed) <= _MOST_LABELS:
        caption += f" The numbers at the right are the seeds ({kind})."
    axis = axis_title("test", subject.metric)
    paint = partial(_paint, scores, subject.looks, pages=pages, axis=axis)
    return Sketch("Seeds as paired dots", caption, paint, subject.task, subject.model)


def _seed(row: Row, with_data: bool) -> str:
    init, order, data = (row[f"{source}_seed"] for source in ("init", "order", "data"))
    if with_data:
        return f"{init}/{order}/{data}"
    return f"{init}" if init == order else f"{init}/{order}"


def _paint(scores: Scores, looks: Mapping[str, Look], *, pages: Pages, axis: str) -> Figure:
    names = [short(arm, _LONGEST_TICK) for arm in scores]
    seeds = list(dict.fromkeys(seed for found in scores.values() for seed in found))
    labelled = len(seeds) <= _MOST_LABELS
    right = CHARACTER * max(map(len, seeds)) + 8 if labelled else 10.0
    wide = WIDTH - LEFT - right
    slanted = CHARACTER * (max(map(len, names)) + 1) > wide / len(names)
    foot = 0.62 * CHARACTER * max(map(len, names)) + 18 if slanted else 20.0
    figure = make_figure(_HEIGHT + foot + TOP)
    axes = add_axes(figure, (LEFT, foot, wide, _HEIGHT))
    dots = _place_dots(scores, wide / len(names))
    for seed in seeds:
        places = [found[seed] for found in dots.values() if seed in found]
        values = [found[seed] for found in scores.values() if seed in found]
        axes.plot(places, values, color=ink(), alpha=0.35, linewidth=0.8, zorder=1)
    for place, (arm, found) in enumerate(scores.items()):
        for seed, value in found.items():
            corner = (dots[arm][seed], value)
            _dot(axes, corner, look=looks[arm], page=pages[arm][seed])
        _mean(axes, place, list(found.values()), look=looks[arm])
    turned: dict[str, Any] = {"rotation": 38, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(names)), names, **(turned if slanted else {}))
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylabel(axis)
    if labelled:
        _label(axes, scores, dots, seeds=seeds)
    return figure


def _place_dots(scores: Scores, arm_width: float) -> Scores:
    """Return each dot's horizontal place; dots of equal scores are side by side.

    Args:
        scores: By arm, then by seed.
        arm_width: Distance of two arms, in points.
    """
    values = [value for found in scores.values() for value in found.values()]
    # Scores fill about nine tenths of the height.
    high = (max(values) - min(values)) * _DOT / (0.9 * _HEIGHT)
    step = (_DOT + 1) / arm_width
    aside = [sign * step * n for n in range(1, int(_FARTHEST / step) + 1) for sign in (1, -1)]
    return {
        arm: {seed: place + shift for seed, shift in _swarm(found, high, [0.0, *aside]).items()}
        for place, (arm, found) in enumerate(scores.items())
    }


def _swarm(found: Mapping[str, float], high: float, shifts: Sequence[float]) -> dict[str, float]:
    """Give each dot the first of the shifts at which it covers no other, if there is one."""
    placed: dict[str, float] = {}
    for value, seed in sorted((value, seed) for seed, value in found.items()):
        near = [placed[other] for other in placed if value - found[other] <= high]
        placed[seed] = next((s for s in shifts if s not in near), shifts[len(near) % len(shifts)])
    return {seed: placed[seed] for seed in found}


def _dot(axes: Axes, corner: tuple[float, float], *, look: Look, page: str | None) -> None:
    place, value = corner
    axes.plot(
        [place],
        [value],
        url=page,
        color=look.colour,
        marker=look.marker,
        linestyle="none",
        markersize=_DOT,
        markeredgewidth=0,
        alpha=0.9,
        zorder=3,
    )


def _mean(axes: Axes, place: int, values: Sequence[float], *, look: Look) -> None:
    if len(values) > 1:
        mean = sum(sorted(values)) / len(values)
        axes.plot(
            [place - _HALF_BAR, place + _HALF_BAR], [mean, mean], color=look.colour, linewidth=2
        )


def _label(axes: Axes, scores: Scores, dots: Scores, *, seeds: Sequence[str]) -> None:
    """Write each seed beside its last dot, moved apart where labels would overlap."""
    ends: defaultdict[int, list[tuple[float, str]]] = defaultdict(list)
    for seed in seeds:
        place, found = [(p, f) for p, f in enumerate(scores.values()) if seed in f][-1]
        ends[place].append((found[seed], seed))
    low, high = axes.get_ylim()
    least = (high - low) * _LINE_OF_TEXT / _HEIGHT
    arms = list(dots.values())
    for place, column in ends.items():
        column.sort()
        right = max(place + _HALF_BAR, *(arms[place][seed] for _, seed in column))
        heights = spread([value for value, _ in column], least)
        for height, (_, seed) in zip(heights, column, strict=True):
            axes.annotate(
                seed,
                (right, height),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.5,
                annotation_clip=False,
            )
