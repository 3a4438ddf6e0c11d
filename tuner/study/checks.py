"""List the faults of a planned study before it runs: `find_faults(cells, data_dir, compute)`.

A fault of the study as a whole, or one that every cell has, refuses the start (`Findings.refuse`);
a fault of some cells ends those alone (`Findings.of`), and `tuner validate` lists them all.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from trainers.contract import RunSpec
from trainers.data import TaskLengths, measure_lengths
from trainers.errors import RunFailed, SeveralFaults, shown
from trainers.memory import Outline, outline_runs
from trainers.methods import unknown_targets_message
from trainers.models import too_long_message, too_many_virtual_message
from trainers.train import visible_devices
from tuner.config import Cell, Point, points_to_try, varied
from tuner.study.known_good import is_known_good
from tuner.study.memory_cap import check_weights
from tuner.study.reading import ReadLengths, read_lengths

Compute = Callable[..., Any]
"""Calls a function that needs torch, as an executor's `compute` does."""
_logger = logging.getLogger(__name__)
_FEW = 16
"""A method's field with at most this many values is tried with all of them."""
_RANKS_TO_TRY = 8
"""Ranks that are allowed on any machine: a study for a node of eight devices can be tried on a
small one."""


@dataclass(frozen=True)
class Fault:
    """A reason why a study or a cell cannot run, in one line."""

    text: str
    cell: Cell | None = None
    """The cell that cannot run; None: the study as a whole."""


@dataclass(frozen=True)
class Findings:
    """The faults of a study, and the parts that could not be checked."""

    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    """A line for each part that was not checked."""

    def of(self, cell: Cell) -> str:
        """Return why a cell cannot run; "" where it can."""
        return next((f.text for f in self.faults if f.cell and f.cell.label == cell.label), "")

    def texts(self) -> tuple[str, ...]:
        """Return each fault once, with the arms that have it."""
        return tuple(_with_arms(text, cells) for text, cells in self._cells().items())

    def left_out(self) -> tuple[str, ...]:
        """Return why cells are left out, each fault once."""
        return tuple(
            f"{_with_arms(text, cells)}; "
            f"{'this cell is' if len(cells) == 1 else f'these {len(cells)} cells are'} left out"
            for text, cells in self._cells().items()
        )

    def log(self) -> None:
        """Log why cells are left out."""
        for text in self.left_out():
            _logger.warning(text)

    def without(self, models: Mapping[str, str], cells: Sequence[Cell]) -> Findings:
        """Return these findings with the faults of unusable models, by the models' names."""
        more = [Fault(models[c.model], c) for c in cells if c.model in models and not self.of(c)]
        return replace(self, faults=(*self.faults, *more))

    def _cells(self) -> dict[str, list[Cell]]:
        """Return the cells of each fault; none where it is the study's."""
        found: dict[str, list[Cell]] = {}
        for fault in self.faults:
            found.setdefault(fault.text, []).extend([fault.cell] if fault.cell else [])
        return found

    def refuse(self, cells: Sequence[Cell]) -> None:
        """Raise an error unless some cell can run.

        Raises:
            ConfigError: No cell can run, or the study as a whole has a fault; it has all faults.
        """
        if any(fault.cell is None for fault in self.faults) or all(map(self.of, cells)):
            raise SeveralFaults(self.texts())


def _with_arms(text: str, cells: Sequence[Cell]) -> str:
    """Add the arms of a fault, if not all arms have it and its key does not name one."""
    arms = dict.fromkeys(cell.arm for cell in cells)
    if not cells or len(arms) == len(cells[0].study.arms) or text.startswith("arms."):
        return text
    return f"{text} ({'arms' if len(arms) > 1 else 'arm'} {', '.join(arms)})"


@dataclass(frozen=True)
class Inspection:
    """Findings on a study and lengths of its rows, before it runs."""

    findings: Findings
    lengths: ReadLengths


def inspect_cells(
    cells: Sequence[Cell], data_dir: Path, compute: Compute, cache: Path
) -> Inspection:
    """Check that cells can run, unless that is known; write nothing.

    Args:
        cells: A study's cells, with their data's digests.
        data_dir: Where the tasks' files are.
        compute: Calls a function that needs torch.
        cache: Folder of earlier results; it need not exist.

    Raises:
        ConfigError: No cell can run, or a model's weights alone are over the cap.
        DataError: A tokenizer gives no token for a row, or no known one for a whole split.
    """
    found = Findings()
    if not is_known_good(cells, cache):
        check_weights(cells, compute)
        found = find_faults(cells, data_dir, compute)
        found.refuse(cells)
    lengths = read_lengths(cells, compute, data_dir, cache)
    found = found.without(lengths.unusable, cells)
    found.refuse(cells)
    return Inspection(found, lengths)


@dataclass(frozen=True)
class _Candidate:
    """A cell at one of its points, with its outline."""

    cell: Cell
    point: Point
    spec: RunSpec
    outlined: Outline
    first_is_good: bool = False
    """Whether the first point of the cell's space can be built."""

    def fault(self, text: str) -> Fault:
        """Return a fault of the cell, by the keys of the study's file."""
        key, _, rest = text.partition(": ")
        arm = self.cell.study.arms[self.cell.arm]
        own = f"arms.{self.cell.arm}"
        if key in arm.space:
            return Fault(f"{own}.space.{key}: {rest}", self.cell)
        start = next(points_to_try(arm.space))
        other = [name for name in self.point if self.point[name] != start[name]]
        if key == "method" and other and self.first_is_good:
            got = shown(self.point[other[0]])
            return Fault(f"{own}.space.{other[0]}: got {got}; {rest}", self.cell)
        if key.startswith("method") or key.removeprefix("train.") in arm.train:
            return Fault(f"{own}.{text}", self.cell)
        return Fault(text, self.cell)


def find_faults(cells: Sequence[Cell], data_dir: Path, compute: Compute) -> Findings:
    """Try every cell at both ends of each of its ranges, without training anything.

    Each model is built from its config alone, with the method applied.

    Args:
        cells: A study's cells.
        data_dir: Folder of the tasks' files; the rows of a cell whose data have not been read
            are assumed to be as long as `train.max_length`.
        compute: Calls a function that needs torch.
    """
    faults = list(device_faults(cells))
    try:
        tried = _outline(cells, compute)
    except RunFailed as failed:
        return Findings(tuple(faults), (f"models: not checked: {failed.reason}",))
    rows = _Rows(data_dir, compute)
    texts = [one.outlined.fault or _too_long(one, rows) for one in tried]
    faults += _blamed([(one, text) for one, text in zip(tried, texts, strict=True) if text])
    faults += _unfit(tried)
    distinct = {(fault.text, fault.cell and fault.cell.label): fault for fault in faults}
    unseen = dict.fromkeys(one.outlined.unseen for one in tried if one.outlined.unseen)
    return Findings(tuple(distinct.values()), tuple(f"not checked: {why}" for why in unseen))


def _blamed(found: Sequence[tuple[_Candidate, str]]) -> Iterator[Fault]:
    """Yield the faults of ranges' ends; join those of values between good ends into one."""
    between: defaultdict[tuple[str, str], list[tuple[_Candidate, str]]] = defaultdict(list)
    ends: set[tuple[str, str]] = set()
    for one, text in found:
        space = one.cell.study.arms[one.cell.arm].space
        name = varied(space, one.point)
        if not space or one.point[name] in space[name].ends():
            ends.add((one.cell.label, name))
            yield one.fault(text)
        else:
            between[one.cell.label, name].append((one, text))
    for key, same in between.items():
        if key not in ends:
            (first, text), *_ = same
            values = [shown(one.point[key[1]]) for one, _ in same]
            fault = first.fault(text)
            said = fault.text.replace(f"got {values[0]};", f"got {', '.join(values)};")
            yield replace(fault, text=said)


def _outline(cells: Sequence[Cell], compute: Compute) -> list[_Candidate]:
    """Outline each cell at each of its points; equal specs once."""
    seeds = cells[0].study.confirm.seeds[0]
    points = [(cell, point) for cell in cells for point in _points(cell)]
    specs = [cell.spec(seeds, point) for cell, point in points]
    keys = [_outline_key(spec) for spec in specs]
    distinct: dict[str, RunSpec] = {}
    for key, spec in zip(keys, specs, strict=True):
        distinct.setdefault(key, spec)
    seen = dict(zip(distinct, compute(outline_runs, list(distinct.values())), strict=True))
    found: list[_Candidate] = []
    good: dict[str, bool] = {}
    for (cell, point), spec, key in zip(points, specs, keys, strict=True):
        first = good.setdefault(cell.label, not seen[key].fault)
        found.append(_Candidate(cell, point, spec, seen[key], first))
    return found


def _points(cell: Cell) -> Iterator[Point]:
    """Yield both ends of each range, and all values of a method's field with few values."""
    space = cell.study.arms[cell.arm].space
    tried = list(points_to_try(space))
    yield from tried
    for name, dimension in space.items():
        few = name.startswith("method.") and (dimension.count() or math.inf) <= _FEW
        between = ({**tried[0], name: value} for value in (dimension.grid() or ()) if few)
        yield from (point for point in between if point not in tried)


def _outline_key(spec: RunSpec) -> str:
    tree = spec.model_dump(mode="json", include={"model", "method"})
    train = spec.train
    return json.dumps([tree, train.attention, train.gradient_checkpointing], sort_keys=True)


@dataclass
class _Rows:
    """The longest rows of tasks, measured when a model may have too few positions."""

    data_dir: Path
    compute: Compute
    _known: dict[tuple[str, str], int | str] = field(default_factory=dict)

    def longest(self, cell: Cell, spec: RunSpec) -> int | str:
        """Return the tokens of the longest row of a cell's task, or why they are unknown."""
        key = (cell.task, cell.model)
        if key not in self._known:
            study = cell.study
            every = study.every_seed()
            seeds = sorted({seeds.data for seeds in every})
            try:
                measure = partial(self.compute, measure_lengths, spec.task, spec.model)
                found: list[TaskLengths] = [measure(self.data_dir, seed) for seed in seeds]
            except RunFailed as failed:
                self._known[key] = failed.reason
                return failed.reason
            self._known[key] = found[0].fault or max(measured.longest for measured in found)
        return self._known[key]


def _too_long(one: _Candidate, rows: _Rows) -> str:
    """Return the fault that rows have more tokens than the model has positions, or ""."""
    outlined, most = one.outlined, one.spec.train.max_length
    if outlined.positions is None or most + outlined.virtual_tokens <= outlined.positions:
        return ""
    name, virtual = one.cell.model, outlined.virtual_tokens
    tokens, shown = most, f"up to {most}"
    if one.cell.data:
        longest = rows.longest(one.cell, one.spec)
        if isinstance(longest, str):
            return longest
        tokens = min(longest, most)
        shown = str(tokens)
    if tokens + virtual <= outlined.positions:
        return ""
    if virtual and tokens < outlined.positions:
        own = hasattr(one.spec.method, "virtual_tokens")
        key = f"method.{'virtual_tokens' if own else 'config.num_virtual_tokens'}"
        return f"{key}: {too_many_virtual_message(name, tokens, outlined.positions, virtual)}"
    return too_long_message(name, shown, outlined.positions, virtual)


def _unfit(tried: Sequence[_Candidate]) -> Iterator[Fault]:
    """Yield faults for names that no model has: a study may list those of several models."""
    by_arm: defaultdict[str, list[_Candidate]] = defaultdict(list)
    for one in tried:
        if not one.outlined.unseen and not one.outlined.fault:
            by_arm[one.cell.arm].append(one)
    for same in by_arm.values():
        for key in dict.fromkeys(key for one in same for key in one.outlined.unfit):
            having = [one for one in same if key in one.outlined.unfit]
            if {one.cell.model for one in having} < {one.cell.model for one in same}:
                continue  # all its names fit another model
            nowhere = set.intersection(*(set(one.outlined.unfit[key].names) for one in having))
            for one in having if nowhere else ():
                known = one.outlined.unfit[key].known
                yield one.fault(
                    unknown_targets_message(key, sorted(nowhere), one.cell.model, known)
                )


def device_faults(cells: Sequence[Cell]) -> Iterator[Fault]:
    """Yield faults for devices that this machine lacks; a cluster's nodes are unknown here."""
    study = cells[0].study
    if study.executor.elsewhere:
        return
    devices, cores = len(visible_devices()), os.cpu_count() or 1
    most = devices or max(cores, _RANKS_TO_TRY)
    has = f"this machine has {devices or 'no'} CUDA device{'s' * (devices > 1)}"
    for cell in cells:
        arm = study.arms[cell.arm]
        own, spec = f"arms.{cell.arm}.", cell.spec(study.confirm.seeds[0])
        missing = study.executor.missing_devices(ranks=spec.ranks, devices=devices)
        if missing:
            yield Fault(f"executor.{missing}; {has}", cell)
        elif spec.ranks > most:
            key = "ranks" if arm.ranks is None else f"{own}ranks"
            where = has if devices else f"{has} and {cores} cores"
            yield Fault(f"{key}: got {spec.ranks}; {where}; allowed: at most {most}", cell)
        precisions = {cell.spec(study.confirm.seeds[0], p).train.precision for p in _points(cell)}
        if "fp16" in precisions and not devices:
            key = "train.precision"
            key = f"{own}space.{key}" if key in arm.space else key
            key = f"{own}{key}" if "precision" in arm.train else key
            yield Fault(f"{key}: fp16 needs a CUDA device; {has}; use auto, bf16 or fp32", cell)
