"""Predict the memory of every cell of a study, with measurements of its runs beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainers.contract import RunSpec, Workspace
from trainers.errors import DataError, ModelError
from trainers.memory import Device, MemoryPeaks
from tuner.config import Cell, Choice, Dimension, StudyConfig, Value, plan
from tuner.forecast.memory.need import Need, need
from tuner.store import RunRecord

_UNKNOWN_LABELS = 2
_FRAMEWORK = "memory/predicted/framework_bytes"


def study_needs(
    study: StudyConfig,
    runs: Sequence[RunRecord],
    *,
    data_dir: Path,
    cache_dir: Path,
    device: Device | None = None,
) -> list[Need]:
    """Predict a study's cells, at the upper end of each searched range.

    With the task's files and the tokenizer, the prediction is for the task's rows; else for
    batches as long as `max_length` and two classes, which changes the head alone.

    Args:
        study: The study.
        runs: Its runs in the store.
        data_dir: Folder of the task files.
        cache_dir: Folder of tokens and traces.
        device: Device to predict for, and whose runs to compare with; by default this machine's
            device, and all runs.
    """
    needs: list[Need] = []
    study = study.with_data_dir(data_dir)
    place = Workspace(data_dir=data_dir, cache_dir=cache_dir, run_dir=cache_dir)
    cells = plan(study)
    if device is not None:
        runs = [run for run in runs if run.facts.get("device", "").startswith(device)]
    for cell in cells:
        row = need(cell.label, _predict(largest(cell), place, device))
        needs.append(row.model_copy(update=_of_runs(_of_cell(runs, cell))))
    rows = zip(needs, cells, strict=True)
    return [_beside(row, cell, (cells, needs)) for row, cell in rows]


def largest(cell: Cell) -> RunSpec:
    """Return a cell's run at the upper end of every range, and at the largest value of lists."""
    space = cell.study.arms[cell.arm].space
    point = {name: _upper(dimension) for name, dimension in space.items()}
    return cell.spec(cell.study.confirm.seeds[0], point)


def _upper(dimension: Dimension) -> Value:
    ends = dimension.ends()
    numbers = [v for v in ends if isinstance(v, int | float) and not isinstance(v, bool)]
    if isinstance(dimension, Choice) and len(numbers) < len(ends):
        return ends[-1]
    return max(numbers)


def _predict(spec: RunSpec, place: Workspace, device: Device | None) -> MemoryPeaks:
    from trainers.memory import predict_memory, predict_rows

    try:
        return predict_rows(spec, place, device=device)
    except (DataError, ModelError):  # no files, or a config without a tokenizer
        return predict_memory(spec, labels=_UNKNOWN_LABELS, device=device)


def _of_cell(runs: Sequence[RunRecord], cell: Cell) -> list[RunRecord]:
    own = (cell.task, cell.model, cell.arm)
    return [r for r in runs if (r.group.task, r.group.model, r.group.arm) == own]


def _of_runs(runs: Sequence[RunRecord]) -> dict[str, int]:
    """Return the measurements of a cell's largest run in the store, if any."""
    measured = [run for run in runs if _peak(run, "measured")]
    if not measured:
        return {}
    largest = max(measured, key=lambda run: _peak(run, "measured"))
    found = {"runs": len(measured), "measured_peak_bytes": _peak(largest, "measured")}
    if predicted := _peak(largest, "predicted"):
        found["measured_predicted_bytes"] = predicted
    held = [int(run.metrics[_FRAMEWORK]) for run in measured if _FRAMEWORK in run.metrics]
    return found | ({"framework_bytes": max(held)} if held else {})


def _peak(run: RunRecord, kind: str) -> int:
    """Return the largest peak of all phases: of tensors, else the growth of resident memory."""
    names = (f"memory/{kind}/{phase}_peak_bytes" for phase in ("load", "train", "eval"))
    return max((int(run.metrics[name]) for name in names if name in run.metrics), default=0)


def _beside(row: Need, cell: Cell, all_cells: tuple[Sequence[Cell], Sequence[Need]]) -> Need:
    """Add what a cell saves compared with the one of its task and model that trains most."""
    rivals = [
        predicted
        for other, predicted in zip(*all_cells, strict=True)
        if (other.task, other.model) == (cell.task, cell.model)
    ]
    against = max(rivals, key=lambda predicted: predicted.trainable_parameters)
    if against is row:
        return row
    saved = 1 - row.predicted_peak_bytes / against.predicted_peak_bytes
    return row.model_copy(update={"saved": saved})
