"""Log the findings on a study's data, once, before it runs: facts as INFO, doubts as WARNING."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from trainers.contract import Seeds
from trainers.data import (
    Finding,
    SplitLengths,
    Survey,
    TaskLengths,
    measure_lengths,
    survey_lengths,
)
from trainers.errors import DataError, RunFailed
from trainers.train import endless_warmup
from tuner.config import Cell, StudyConfig
from tuner.store import write_whole

_logger = logging.getLogger(__name__)
_OF_SPLITS = TypeAdapter(dict[str, SplitLengths])
_FORMAT = 1
_NOWHERE = Path(os.devnull)


def log_rows(task: str, surveys: Mapping[int, Survey]) -> None:
    """Log the findings on a task's rows, each once.

    Args:
        task: Its name.
        surveys: Survey for each data seed.
    """
    said: set[str] = set()
    for seed, survey in surveys.items():
        new = [finding for finding in survey.findings if finding.name not in said]
        _log(f"{task}, data seed {seed}" if said else task, new)
        said |= {finding.name for finding in new}


def log_warmups(config: StudyConfig, task: str, rows: int) -> None:
    """Log the arms whose warm-up would take all steps of a training on this number of rows."""
    arms: dict[str, list[str]] = {}
    for arm in config.arms:
        seeds = config.confirm.seeds[0]
        spec = config.spec(task=task, model=config.models[0].name, arm=arm, seeds=seeds)
        arms.setdefault(endless_warmup(spec.train, rows, ranks=spec.ranks), []).append(arm)
    for text, of in arms.items():
        if text:
            where = task if len(of) == len(config.arms) else f"{task}, {', '.join(of)}"
            _logger.warning("%s: %s", where, text)


@dataclass(frozen=True)
class ReadLengths:
    """The lengths of a study's rows."""

    found: tuple[tuple[str, tuple[Finding, ...]], ...]
    """Findings, with their task and model."""
    fresh: Mapping[Path, str]
    """New measurements, by their file in the cache."""
    unusable: Mapping[str, str] = field(default_factory=dict)
    """Why a model's rows cannot be tokenised and its cells cannot run, by the model's name."""

    def log(self) -> None:
        """Log how many rows each `max_length` cuts, and the length of the longest."""
        for where, findings in self.found:
            _log(where, findings)

    def warn(self) -> None:
        """Log why the cells of some models would be left out."""
        for reason in self.unusable.values():
            _logger.warning("%s; run-study leaves the model's cells out", _unknown(reason).text)

    def keep(self) -> None:
        """Write new measurements to the cache, so that later starts need not repeat them."""
        for path, content in self.fresh.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)


def read_lengths(
    cells: Sequence[Cell],
    compute: Callable[..., TaskLengths],
    data_dir: Path,
    cache: Path | None = None,
) -> ReadLengths:
    """Find how many rows each `max_length` of a study cuts, and the length of the longest.

    Args:
        cells: The study's cells, with their data's digests; those without are left out.
        compute: Calls a function that needs a tokenizer, as `Executor.compute` does.
        data_dir: Folder of the task files.
        cache: Folder of earlier measurements, which need not exist; None: none.

    Raises:
        DataError: A tokenizer gives no token for a row, or no known one for a whole split.
    """
    fresh: dict[Path, str] = {}
    unusable: dict[str, str] = {}
    found: list[tuple[str, tuple[Finding, ...]]] = []
    for same in _by_task_and_model([cell for cell in cells if cell.data]):
        cell = same[0]
        where = f"{cell.task}, {cell.model}" if len(cell.study.models) > 1 else cell.task
        path = (cache or _NOWHERE) / "lengths" / f"{_key(cell)}.json"
        lengths = _kept(path)
        if lengths is None:
            try:
                measured = _measure(cell, compute, data_dir)
            except RunFailed as failed:  # the runs will fail with it too
                found.append((where, (_unknown(failed.reason),)))
                continue
            if measured.fault:
                unusable[cell.model] = measured.fault
                continue
            lengths = measured.splits
            fresh[path] = _OF_SPLITS.dump_json(lengths).decode()
        try:
            findings = survey_lengths(lengths, _max_lengths(same)).findings
        except DataError as error:
            raise DataError(f"{cell.task}, {cell.model}: {error}") from None
        found.append((where, findings))
    return ReadLengths(tuple(found), fresh, unusable)


def _measure(cell: Cell, compute: Callable[..., TaskLengths], data_dir: Path) -> TaskLengths:
    spec = cell.spec(cell.study.confirm.seeds[0])
    return compute(measure_lengths, spec.task, spec.model, data_dir, min(cell.data))


def _unknown(reason: str) -> Finding:
    return Finding("lengths", f"lengths in tokens not known: {reason}", warns=True)


def _log(where: str, findings: Sequence[Finding]) -> None:
    for finding in findings:
        level = logging.WARNING if finding.warns else logging.INFO
        _logger.log(level, "%s: %s", where, finding.text)


def _by_task_and_model(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    pairs = dict.fromkeys((cell.task, cell.model) for cell in cells)
    for pair in pairs:
        yield [cell for cell in cells if (cell.task, cell.model) == pair]


def _max_lengths(cells: Sequence[Cell]) -> list[int]:
    """Return every fixed `max_length` of the cells, and the ends of searched ones."""
    found: set[int] = set()
    for cell in cells:
        space = cell.study.arms[cell.arm].space
        ends = space["train.max_length"].ends() if "train.max_length" in space else (None,)
        for end in ends:
            point = {} if end is None else {"train.max_length": end}
            found.add(cell.spec(Seeds(init=0, order=0), point).train.max_length)
    return sorted(found)


def _key(cell: Cell) -> str:
    """Return a key of everything that decides the lengths: data, and the tokenizer's files."""
    model = cell.spec(cell.study.confirm.seeds[0]).model
    files = model.files()
    parts = {
        "format": _FORMAT,
        "digests": dict(cell.data[min(cell.data)]),
        "model": model.model_dump(mode="json"),
        "files": [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files],
        "versions": [version("tokenizers"), version("transformers")],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _kept(path: Path) -> dict[str, SplitLengths] | None:
    try:
        return _OF_SPLITS.validate_json(path.read_bytes())
    except (OSError, ValidationError):  # not measured yet, or cut short
        return None
