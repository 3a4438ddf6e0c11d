"""Estimate the bytes that a study's remaining runs add to its store. All are rough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from tuner.config import Cell, Phase, dump_study
from tuner.forecast.time.forecasts import DiskForecast
from tuner.forecast.time.history import CellProgress, History
from tuner.forecast.time.run_size import TaskSize, mean_epochs

# Measured in stores of the tiny model and of MiniLM, 7 to 46 runs.
_DATABASE_OF_A_RUN = 100_000
_EMPTY_DATABASES = 900_000
_REPORT, _REPORT_OF_A_BLOCK = 300_000, 250_000
_SPEC, _START, _STEP, _EPOCH, _OUTCOME = 1_300, 1_200, 220, 420, 1_400
_CURVE_POINTS = 50
_PARQUET, _ROW = 4_000, 20
_CHARACTERS_OF_A_TOKEN, _BYTES_OF_A_TOKEN, _SPECIAL_TOKENS = 4, 12, 3
_PROBABILITY = _WEIGHT = 8
_FLOAT32 = 4
_PHASES: tuple[Phase, ...] = ("search", "finalists", "confirm")


@dataclass(frozen=True)
class CellFiles:
    """A cell, its remaining runs, its data, and its trained parameters where known."""

    cell: Cell
    progress: CellProgress
    size: TaskSize
    trained: int | None


def disk_of(cells: Sequence[CellFiles], history: History) -> DiskForecast:
    """Estimate the bytes of the remaining runs.

    Args:
        cells: Every cell of the study.
        history: The store's runs, whose files are measured, by phase.
    """
    measured = {phase: _mean_folder(history, phase) for phase in _PHASES}
    folders = artifacts = databases = 0.0
    used = False
    for files in cells:
        left = files.progress
        counts = (left.search.left, left.finalists.left, left.confirm.left)
        for phase, count in zip(_PHASES, counts, strict=True):
            found = measured[phase]
            used = used or (count > 0 and found is not None)
            folders += count * (_folder(files, phase) if found is None else found)
            artifacts += count * _artifacts(files, phase)
            databases += count * (_DATABASE_OF_A_RUN + _journal(files))
        artifacts += _groups(files) * len(dump_study(files.cell.study))
    if databases and not history.runs:
        blocks = {(files.cell.task, files.cell.model) for files in cells}
        artifacts += _REPORT + _REPORT_OF_A_BLOCK * len(blocks)
    if databases and not history.store.root.exists():
        databases += _EMPTY_DATABASES
    cache, models = _cache(cells, history), _models(cells)
    whole = [round(value) for value in (folders, artifacts, databases, cache)]
    return DiskForecast(
        run_folders_bytes=whole[0],
        artifacts_bytes=whole[1],
        databases_bytes=whole[2],
        cache_bytes=whole[3],
        models_bytes=models,
        total_bytes=sum(whole) + (models or 0),
        measured=used,
    )


def trained_parameters(cells: Sequence[Cell], history: History) -> dict[str, int]:
    """Return the trained parameters by cell, as logged by earlier runs."""
    name = "parameters/trained"
    logged = {
        run.group.cell: int(run.metrics[name])
        for run in (*history.others, *history.runs)
        if name in run.metrics
    }
    marks = {cell.label: cell.fingerprint() for cell in cells}
    return {label: logged[mark] for label, mark in marks.items() if mark in logged}


def _mean_folder(history: History, phase: str) -> float | None:
    folders = [
        folder
        for run in history.runs
        if run.group.phase == phase and run.state == "finished"
        for folder in history.store.run_dirs(run.digest)
    ]
    sizes = [_size_without_model(folder) for folder in set(folders) if folder.is_dir()]
    return fmean(sizes) if sizes else None


def _size_without_model(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def _folder(files: CellFiles, phase: str) -> float:
    """Return the bytes of a run's folder: its spec and its files."""
    return _artifacts(files, phase)


def _journal(files: CellFiles) -> float:
    """Return the bytes of a run in the journal: a curve of 50 to 99 points, or one a step."""
    cell = files.cell
    epochs = mean_epochs(cell)
    spec = cell.spec(cell.study.confirm.seeds[0])
    steps = files.size.steps(spec) / spec.train.epochs * epochs
    points = steps / max(1, steps // _CURVE_POINTS)
    return _START + _STEP * points + _EPOCH * epochs + _OUTCOME


def _artifacts(files: CellFiles, phase: str) -> float:
    """Return the bytes of the files that are copied into MLflow."""
    size = files.size
    rows = size.test * (_ROW + _PROBABILITY * size.labels)
    return _SPEC + (_PARQUET + rows if phase == "confirm" else 0)


def _groups(files: CellFiles) -> float:
    """Return the bytes of new configurations, each with a copy of the study."""
    seeds = len(files.cell.study.search.seeds)
    fresh = max(1, len(files.cell.study.finalist_seeds()))
    left = files.progress
    return left.search.left / seeds + left.finalists.left / fresh + (left.confirm.left > 0)


def _cache(cells: Sequence[CellFiles], history: History) -> float:
    """Return the bytes of tokenised data: a token for every four characters, in 12 bytes."""
    there = {(run.group.task, run.group.model) for run in history.runs if run.metrics}
    new = {(files.cell.task, files.cell.model): files for files in cells if files.progress.left}
    total = 0.0
    for key, files in new.items():
        if key in there and history.store.cache_dir.is_dir():
            continue
        longest = files.cell.spec(files.cell.study.confirm.seeds[0]).train.max_length
        for characters in files.size.characters:
            tokens = min(longest, characters / _CHARACTERS_OF_A_TOKEN + _SPECIAL_TOKENS)
            total += tokens * _BYTES_OF_A_TOKEN + _WEIGHT
    return total


def _models(cells: Sequence[CellFiles]) -> int | None:
    """Return the bytes of kept models: their trained parameters, in float32."""
    total = 0
    for files in cells:
        left, save = files.progress.confirm.left, files.cell.study.save
        kept = 0 if save == "none" else left if save == "confirm" else min(left, 1)
        if kept and files.trained is None:
            return None
        total += kept * (files.trained or 0) * _FLOAT32
    return total
