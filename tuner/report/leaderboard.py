"""Put the arms of a task and model in order, best first, as the first screen shows them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tuner.report.answer import asked_pairs
from tuner.report.comparison import NOT_RUN, Comparison, Row, has_run
from tuner.report.plots.subject import INK, arm_looks
from tuner.report.wording import (
    bytes_text,
    counted,
    higher_is_better,
    interval_text,
    missing,
    seconds_text,
    short_number,
    value_text,
    verdict_text,
)

_ROOM = 0.04
"""Share of the scale that stays free at each end."""
_NEAR = 2.0
"""Dots that are closer than this, in percent of the scale, are set above each other."""
_LANES = (0, -1, 1, -2, 2)
_STEPS = (1.0, 2.0, 5.0, 10.0)
_MOST_TICKS = 5


@dataclass(frozen=True)
class Dot:
    """A confirm run on the scale."""

    place: float
    """In percent of the scale, from its left end."""
    lane: int
    """Steps below the middle; above it, a negative number."""
    text: str
    """Seed and score."""
    page: str | None
    """Address of MLflow's page of the run."""


@dataclass(frozen=True)
class Chosen:
    """A searched field with the value that was chosen."""

    name: str
    value: str
    near: str
    """The end of its range that it lies near, in words; empty where it lies near none."""


@dataclass(frozen=True)
class LeaderboardRow:
    """An arm as the first screen shows it."""

    arm: str
    shade: str
    """Colour of its method, for CSS."""
    page: str | None
    """Address of MLflow's page of its configuration."""
    is_reference: bool
    """Whether the others are compared with it."""
    dots: tuple[Dot, ...]
    mean: float | None
    """Place of the mean, in percent of the scale."""
    ends: tuple[float, float] | None
    """Places of the ends of the mean's interval."""
    score: str
    spread: str
    difference: str
    interval: str
    verdict: str
    behind: str
    chosen: tuple[Chosen, ...]
    memory: str
    seconds: str
    trouble: str
    """What went wrong with its runs; empty where nothing did."""


@dataclass(frozen=True)
class Leaderboard:
    """The arms of a task and model, the best first."""

    task: str
    model: str
    reference: str
    """The arm that the others are compared with."""
    ticks: tuple[tuple[float, str], ...]
    """Numbers of the scale, with their places in percent."""
    rows: tuple[LeaderboardRow, ...]

    @property
    def has_intervals(self) -> bool:
        """Return whether some mean has an interval."""
        return any(row.ends for row in self.rows)

    @property
    def has_near(self) -> bool:
        """Return whether some chosen value lies near an end of its range."""
        return any(chosen.near for row in self.rows for chosen in row.chosen)


@dataclass(frozen=True)
class _Scale:
    """A straight line from scores to percent of the width."""

    low: float
    high: float

    def place(self, value: float) -> float:
        """Return where a score lies."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)


def leaderboard(comparison: Comparison, task: str, model: str) -> Leaderboard:
    """Return the arms of a task and model, the best first, on one scale."""
    metric = comparison.metric
    cells: dict[str, Row] = {}
    for row in comparison.rows("cells", task, model):
        if row["metric"] == metric or row["arm"] not in cells:
            cells[row["arm"]] = row
    column = f"test/{metric}"
    runs: dict[str, list[Row]] = {arm: [] for arm in cells}
    for row in comparison.rows("runs", task, model):
        if not missing(row.get(column)):
            runs[row["arm"]].append(row)
    pairs = {row["arm_a"]: row for row in asked_pairs(comparison, task, model)}
    reference = next(iter(pairs.values()))["arm_b"] if pairs else comparison.baseline or ""
    scale = _scale([row[column] for found in runs.values() for row in found])
    sign = -1 if higher_is_better(metric) else 1
    made = _Maker(comparison, task, model, scale, str(reference))
    rows = [
        made.row(cells[arm], runs[arm], pairs.get(arm))
        for arm in sorted(cells, key=lambda arm: _order(cells[arm]["mean"], sign))
    ]
    ticks = tuple((scale.place(tick), _tick(tick, metric)) for tick in _ticks(scale))
    return Leaderboard(task, model, str(reference), ticks, tuple(rows))


@dataclass(frozen=True)
class _Maker:
    """Makes the rows of one task and model."""

    comparison: Comparison
    task: str
    model: str
    scale: _Scale
    reference: str

    def row(self, cell: Row, runs: Sequence[Row], pair: Row | None) -> LeaderboardRow:
        """Return the row of an arm.

        Args:
            cell: Its row of the frame `cells`.
            runs: Its rows of the frame `runs` that have the score.
            pair: Its pair with the reference; None: it is the reference, or shares no seed.
        """
        arm, metric, pages = str(cell["arm"]), cell["metric"], self.comparison.pages
        known = not missing(cell["mean"])
        shade = arm_looks(self.comparison)[arm].shade
        ends = None
        if known and not missing(cell["ci_low"]):
            low, high = (self.scale.place(cell[end]) for end in ("ci_low", "ci_high"))
            ends = (max(0.0, low), min(100.0, high))
        return LeaderboardRow(
            arm=arm,
            shade="currentColor" if shade == INK else shade,
            page=pages.get(cell["parent_run_id"]),
            is_reference=arm == self.reference,
            dots=tuple(self._dots(runs)),
            mean=self.scale.place(cell["mean"]) if known else None,
            ends=ends,
            score=value_text(cell["mean"], metric) if has_run(cell) else NOT_RUN,
            spread="" if missing(cell["std"]) else value_text(cell["std"], metric),
            chosen=tuple(self._chosen(arm)),
            memory=bytes_text(cell["peak_memory_bytes"]),
            seconds=seconds_text(cell["seconds"]),
            trouble=_trouble(cell),
            **_against(pair),
        )

    def _dots(self, runs: Sequence[Row]) -> Iterator[Dot]:
        metric = self.comparison.metric
        lanes: list[float] = []
        for run in sorted(runs, key=lambda run: (run[f"test/{metric}"], run["init_seed"])):
            value = run[f"test/{metric}"]
            place = self.scale.place(value)
            lane = next((n for n, last in enumerate(lanes) if place - last > _NEAR), len(lanes))
            lanes[lane : lane + 1] = [place]
            text = f"seed {run['init_seed']}: {value_text(value, metric)}"
            page = self.comparison.pages.get(run["run_id"])
            yield Dot(place, _LANES[lane % len(_LANES)], text, page)

    def _chosen(self, arm: str) -> Iterator[Chosen]:
        for row in self.comparison.rows("searched", self.task, self.model):
            if row["arm"] == arm:
                name = str(row["field"]).partition(".")[2].replace("_", " ")
                near = "" if missing(row["near"]) or not row["near"] else f"{row['near']} end"
                yield Chosen(name, short_number(str(row["chosen"])), near)


def _against(pair: Row | None) -> Mapping[str, str]:
    """Return what a row says of the arm against the reference."""
    if pair is None or not pair["n"]:
        return dict.fromkeys(("difference", "interval", "verdict", "behind"), "")
    metric, verdict = pair["metric"], verdict_text(pair)
    ends = interval_text(pair["ci_low"], pair["ci_high"], metric, signed=True)
    return {
        "difference": value_text(pair["mean_difference"], metric, signed=True),
        "interval": "" if missing(pair["ci_low"]) else ends,
        "verdict": verdict.partition(":")[0],
        "behind": f"behind on {pair['behind']} of {counted(int(pair['n']), 'seed')}",
    }


def _trouble(cell: Row) -> str:
    number = cell["n"]
    fallen = f"{cell['collapsed_runs']} of {number} collapsed" if cell["collapsed_runs"] else ""
    failed = f"{cell['failed_runs']} failed" if cell["failed_runs"] else ""
    return ", ".join(filter(None, (fallen, failed)))


def _order(mean: float, sign: int) -> tuple[bool, float]:
    return missing(mean), 0.0 if missing(mean) else sign * mean


def _scale(values: Sequence[float]) -> _Scale:
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = _ROOM * (high - low) or 0.01
    return _Scale(low - room, high + room)


def _ticks(scale: _Scale) -> list[float]:
    """Return round numbers inside a scale, not more than can be read."""
    step = 10 ** math.floor(math.log10((scale.high - scale.low) / _MOST_TICKS))
    wide = next(
        step * factor
        for factor in _STEPS
        if (scale.high - scale.low) / (step * factor) <= _MOST_TICKS
    )
    first = math.ceil(scale.low / wide)
    return [round(n * wide, 10) for n in range(first, math.floor(scale.high / wide) + 1)]


def _tick(value: float, metric: str) -> str:
    return f"{100 * value:g}" if higher_is_better(metric) else f"{value:g}"
