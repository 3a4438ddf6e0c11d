"""Predict every cell of a study, and put the runs that were measured beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainers.contract import RunSpec
from trainers.errors import DataError
from tuner.config import StudyConfig
from tuner.footprint.need import Need, need
from tuner.plan import Cell, plan
from tuner.space import Choice, Dimension, Value
from tuner.trackers import RunRecord

_UNKNOWN_LABELS = 2


def study_needs(
    study: StudyConfig, runs: Sequence[RunRecord], *, data_dir: Path, baseline: str | None = None
) -> list[Need]:
    """Predict a study's cells, at the upper end of each searched range.

    Args:
        study: The study.
        runs: Its runs in the store.
        data_dir: Where task files stand; a task whose files are missing is taken to have two
            classes, which changes the head alone.
        baseline: Arm that savings are counted from; by default the one that trains most.
    """
    from trainers.memory import predict_memory

    needs: list[Need] = []
    labels = {task.name: _labels(study, task.name, data_dir) for task in study.tasks}
    cells = plan(study)
    for cell in cells:
        predicted = predict_memory(largest(cell), labels=labels[cell.task])
        measured = [n for n in map(_measured, _of_cell(runs, cell)) if n is not None]
        row = need(cell.label, predicted)
        found = {"measured_peak_bytes": max(measured, default=None), "runs": len(measured)}
        needs.append(row.model_copy(update=found))
    rows = zip(needs, cells, strict=True)
    return [_beside(row, cell, (cells, needs), baseline) for row, cell in rows]


def largest(cell: Cell) -> RunSpec:
    """Return a cell's run at the upper end of every range, its lists at their largest value."""
    space = cell.study.arms[cell.arm].space
    point = {name: _upper(dimension) for name, dimension in space.items()}
    return cell.spec(cell.study.confirm.seeds[0], point)


def _upper(dimension: Dimension) -> Value:
    ends = dimension.ends()
    numbers = [v for v in ends if isinstance(v, int | float) and not isinstance(v, bool)]
    if isinstance(dimension, Choice) and len(numbers) < len(ends):
        return ends[-1]
    return max(numbers)


def _labels(study: StudyConfig, task: str, data_dir: Path) -> int:
    source = next(t for t in study.tasks if t.name == task)
    try:
        return len(source.read(data_dir).labels)
    except DataError:
        return _UNKNOWN_LABELS


def _of_cell(runs: Sequence[RunRecord], cell: Cell) -> list[RunRecord]:
    own = (cell.task, cell.model, cell.arm)
    return [r for r in runs if (r.group.task, r.group.model, r.group.arm) == own]


def _measured(run: RunRecord) -> int | None:
    """Return the training's peak as the run's own source has it."""
    for source in ("allocator_bytes", "cuda_allocated_bytes", "peak_bytes"):
        value = run.metrics.get(f"memory/train/{source}")
        if value:
            return int(value)
    return None


def _beside(
    row: Need, cell: Cell, all_cells: tuple[Sequence[Cell], Sequence[Need]], baseline: str | None
) -> Need:
    """Say what a cell saves against the baseline of its task and model."""
    rivals = [
        (other, predicted)
        for other, predicted in zip(*all_cells, strict=True)
        if (other.task, other.model) == (cell.task, cell.model)
    ]
    if baseline is not None:
        against = next(p for other, p in rivals if other.arm == baseline)
    else:
        against = max((p for _, p in rivals), key=lambda p: p.trainable_parameters)
    if against.name == row.name:
        return row
    saved = 1 - row.predicted_peak_bytes / against.predicted_peak_bytes
    return row.model_copy(update={"saved": saved})
