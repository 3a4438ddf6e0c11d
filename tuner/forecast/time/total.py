"""Add the seconds of cells up to those of a study, with an interval."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.forecast.time.cost import CellCost
from tuner.forecast.time.estimate import Span
from tuner.forecast.time.history import Progress

LAUNCH_SECONDS = 4.0
"""Seconds of `tuner run-study` before its executor begins: Python, MLflow, a new database.
Measured on two idle cores: 3 to 5."""
START_SECONDS = 10.0
"""The same until the first run begins, where no probe has measured it: torch comes to it."""
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Work:
    """What a cell has left, and what a run of it costs."""

    progress: Progress
    cost: CellCost

    @property
    def seconds(self) -> float:
        """Seconds of all its runs, one after the other."""
        left, cost = self.progress, self.cost
        return left.search.left * cost.search.mean + left.confirm.left * cost.confirm.mean


def total_seconds(work: Sequence[Work], *, cells: int, workers: int, start: float) -> Span:
    """Return the wall seconds of a study's remaining runs.

    Cells are taken up in their order by as many workers, as `run_study` does. The interval is
    that of the sum over runs still to come: the error of each cell's mean, the spread of single
    runs about it, and a stated allowance, which is taken to push all cells the same way.

    Args:
        work: The cells with something left, in the study's order.
        cells: Cells of the study, these and others.
        workers: Runs at once.
        start: Seconds before the first run.
    """
    whole = sum(cell.seconds for cell in work)
    if not whole:
        return Span(likely=0.0, low=0.0, high=0.0)
    wall = _wall_seconds(work, at_once=min(workers, cells), workers=workers)
    variance = sum(map(_variance, work))
    allowance = sum(cell.cost.allowance * cell.seconds for cell in work)
    half = math.hypot(_quantile(work) * math.sqrt(variance), allowance) / whole
    return Span(
        likely=start + wall,
        low=start + wall * max(0.0, 1 - half),
        high=start + wall * (1 + half),
    )


def _wall_seconds(work: Sequence[Work], *, at_once: int, workers: int) -> float:
    within = workers // at_once
    free = [0.0] * at_once
    for cell in work:
        left, cost = cell.progress, cell.cost
        taken = math.ceil(left.search.left / within) * cost.search.mean
        taken += math.ceil(left.confirm.left / within) * cost.confirm.mean
        heapq.heappush(free, heapq.heappop(free) + taken)
    return max(free)


def _variance(cell: Work) -> float:
    search, confirm = cell.cost.search, cell.cost.confirm
    searches, confirms = cell.progress.search.left, cell.progress.confirm.left
    # The means of both phases come from the same runs: their errors go together.
    of_means = searches * search.mean * search.error + confirms * confirm.mean * confirm.error
    of_runs = searches * (search.mean * search.spread) ** 2
    of_runs += confirms * (confirm.mean * confirm.spread) ** 2
    return of_means**2 + of_runs


def _quantile(work: Sequence[Work]) -> float:
    """Return Student's t for the runs that the spread rests on, and the usual one's five."""
    from scipy.stats import t

    freedom = 4 + sum(cell.cost.degrees for cell in work if cell.seconds)
    return float(t.ppf((1 + _CONFIDENCE) / 2, freedom))
