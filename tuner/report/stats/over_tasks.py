"""Judge two arms over several tasks: on these tasks, and on tasks like them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.report.stats.arrays import Values, floats
from tuner.report.stats.interval import Interval, mean_of, std_of
from tuner.report.stats.verdict import WITHIN_MARGIN, VerdictKind, t_reach, verdict_kind

LEAST_TASKS = 5
"""Tasks from which on something is said of tasks like them."""


@dataclass(frozen=True, slots=True)
class TaskDifference:
    """What was seen of two arms on one task. Positive: the first is better."""

    mean: float
    """Mean difference over the seeds."""
    std: float
    """Standard deviation of the differences (n - 1)."""
    n: int
    """Seeds, at least 2."""
    row_error: float
    """Standard error of the mean difference over test rows; NaN: not known, and 0."""
    apart: bool
    """Whether the task's own verdict is better or worse, with an interval that leaves the margin:
    then the arms are not equivalent over the tasks, whatever their mean is."""


@dataclass(frozen=True, slots=True)
class OverTasks:
    """What may be said of two arms over tasks; every task weighs the same."""

    kind: VerdictKind
    mean: float
    low: float
    high: float
    freedom: float
    """Degrees of freedom of the interval."""


@dataclass(frozen=True, slots=True)
class _Mean:
    """A mean with its standard error and the error's degrees of freedom."""

    mean: float
    error: float
    freedom: float


def on_these_tasks(
    tasks: Sequence[TaskDifference], *, margin: float, level: float, collapsed: bool = False
) -> OverTasks:
    """Judge the mean over these tasks: seeds and test rows are samples, the tasks are not.

    The variance of the mean is the sum of the tasks' variances, over the squared number of tasks,
    with the degrees of freedom of Satterthwaite (1946) and Welch (1947); the rows' variance counts
    as known.

    Args:
        tasks: At least one.
        margin: What is too small to matter.
        level: Two-sided.
        collapsed: Some run collapsed: see `judge`.
    """
    seeds = [task.std**2 / task.n for task in tasks]
    rows = [0.0 if math.isnan(task.row_error) else task.row_error**2 for task in tasks]
    both, below = (
        math.fsum([*seeds, *rows]),
        math.fsum(seed**2 / (task.n - 1) for seed, task in zip(seeds, tasks, strict=True)),
    )
    freedom = min(both**2 / below if below else math.inf, 1e6)
    mean = mean_of([task.mean for task in tasks])
    found = _Mean(mean, math.sqrt(both) / len(tasks), freedom)
    return _judged(found, tasks, margin=margin, level=level, collapsed=collapsed)


def on_tasks_like_them(
    tasks: Sequence[TaskDifference], *, margin: float, level: float, collapsed: bool = False
) -> OverTasks | None:
    """Judge the mean over tasks of which these are a sample: Student's t over the tasks' means.

    Args:
        tasks: As in `on_these_tasks`.
        margin: What is too small to matter.
        level: Two-sided.
        collapsed: Some run collapsed: see `judge`.

    Returns:
        None below five tasks.
    """
    if len(tasks) < LEAST_TASKS:
        return None
    means = [task.mean for task in tasks]
    found = _Mean(mean_of(means), std_of(means) / math.sqrt(len(means)), len(means) - 1)
    return _judged(found, tasks, margin=margin, level=level, collapsed=collapsed)


def geometric_mean(ratios: Values) -> float:
    """Return the geometric mean of ratios, such as of memory; the order changes nothing."""
    logs = [math.log(ratio) for ratio in floats(ratios).tolist()]
    return math.exp(mean_of(logs))


def _judged(
    found: _Mean, tasks: Sequence[TaskDifference], *, margin: float, level: float, collapsed: bool
) -> OverTasks:
    """Return the verdict on a mean, open where a task or a collapse forbids it."""
    half = t_reach(found.freedom, level) * found.error if found.error else 0.0
    interval = Interval(found.mean - half, found.mean + half)
    kind = verdict_kind(interval, margin)
    apart = kind.startswith("equivalent") and any(task.apart for task in tasks)
    if apart or (collapsed and kind in WITHIN_MARGIN):
        kind = "open"
    return OverTasks(kind, found.mean, interval.low, interval.high, found.freedom)
