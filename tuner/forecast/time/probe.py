"""Measure the cost of runs: start one for each cell without known costs, and stop it early.

A probe is a run in the study's own executor, in a temporary folder. Before it, a first run of each
task and model is stopped when its model is built: it starts the executor and tokenises the data,
which later runs need not do. As many probes run at once as the study has workers, so that they
share the machine as runs will.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev

from trainers.contract import RunEvent, RunResult, RunSpec, StopRun, Workspace
from trainers.errors import RunFailed
from tuner.config import Cell, ExecutorSettings
from tuner.executors import Executor
from tuner.forecast.time.run_size import TaskSize, midpoint
from tuner.store import RunInterrupted
from tuner.study import map_threads

_WHOLE_STEPS = 200
"""A training with at most this many steps is probed whole; of a longer one, the first epoch."""
_BATCHES_OF_A_GROUP = 50
"""Batches that Transformers sorts by length at a time, the longest rows first."""
_PATIENCE = 3
_LONGEST = 10
"""Multiple of the requested seconds after which a probe without any log is ended."""
_UNKNOWN_ERROR = 0.5


@dataclass(frozen=True)
class ProbeResult:
    """The result of one probe."""

    load: float
    """Seconds from the call to the built model, with data tokenised before."""
    step: float
    """Seconds of an optimizer step."""
    step_error: float
    """Standard error of the mean step, as a share of it."""
    evaluation: float | None
    """Seconds of an epoch's evaluation; None: there was none."""
    whole: bool
    """Whether the run ended by itself."""
    trained: int | None
    """Trained parameters; None: it was stopped before they were counted."""


@dataclass(frozen=True)
class Probes:
    """The results of a study's probes."""

    start: float
    """Seconds until a study's first model is built, beyond those of a later one."""
    cells: dict[str, ProbeResult]
    """Results by the cell's label, without probes that logged no step in time."""


@dataclass
class _ProbeWatch:
    """A receiver of events that stops a run, and keeps events with their times."""

    seconds: float
    stop_at_start: bool = False
    batches_a_step: int = 1
    begun: float = field(default_factory=time.monotonic)
    times: list[tuple[float, RunEvent]] = field(default_factory=list)

    def __call__(self, event: RunEvent) -> None:
        now = time.monotonic()
        self.times.append((now, event))
        if self.stop_at_start:
            raise StopRun("the model is built")
        elapsed = now - self.times[0][0]
        batches = event.step * self.batches_a_step
        points = sum(seen.kind == "step" for _, seen in self.times)
        enough = batches >= _BATCHES_OF_A_GROUP or elapsed >= _PATIENCE * self.seconds
        if points >= 2 and elapsed >= self.seconds and enough:
            raise StopRun("measured")


def probe_cells(
    cells: Sequence[Cell], *, sizes: Mapping[str, TaskSize], data_dir: Path, seconds: float
) -> Probes:
    """Probe cells.

    Args:
        cells: The cells to probe; not empty.
        sizes: Size of each task, by its name.
        data_dir: Folder of the task files.
        seconds: Training of each probe, about: until its next point of the curve, and if batches
            are grouped by length, up to three times as long, to see long and short ones.

    Raises:
        RunFailed: A probe failed; the message names the cell.
    """
    first = {(cell.task, cell.model): cell for cell in reversed(cells)}
    with tempfile.TemporaryDirectory(prefix="tuner-plan-") as scratch:
        place = _Prober(Path(scratch), data_dir, seconds, sizes)
        try:
            starts = {key: place.load(cell) for key, cell in first.items()}
            at_once = min(cells[0].study.executor.workers, len(cells))
            found = map_threads(place.probe, cells, at_once, on_error=place.close)
        finally:
            place.close()
    measured = {
        cell.label: result for cell, result in zip(cells, found, strict=True) if result is not None
    }
    start = 0.0
    for (task, model), taken in starts.items():
        same = [c.label for c in cells if (c.task, c.model) == (task, model)]
        loads = [measured[label].load for label in same if label in measured]
        start += max(0.0, taken - fmean(loads)) if loads else taken
    return Probes(start, measured)


@dataclass
class _Prober:
    """The temporary folder of the probes."""

    scratch: Path
    data_dir: Path
    seconds: float
    sizes: Mapping[str, TaskSize]
    executors: list[Executor] = field(default_factory=list)
    idle: list[Executor] = field(default_factory=list)

    def load(self, cell: Cell) -> float:
        """Stop a run when its model is built; return the seconds until then."""
        watch = _ProbeWatch(self.seconds, stop_at_start=True)
        self._run(cell, self._spec(cell), watch)
        return watch.times[0][0] - watch.begun

    def probe(self, cell: Cell) -> ProbeResult | None:
        """Measure a cell; None where no step was logged in time."""
        spec = self._spec(cell)
        grouped = spec.train.gradient_accumulation if spec.train.group_by_length else 10**9
        watch = _ProbeWatch(self.seconds, batches_a_step=grouped)
        result = self._run(cell, spec, watch)
        return measure(watch.begun, watch.times, result)

    def close(self) -> None:
        """End every probe."""
        for executor in self.executors:
            executor.close()

    def _spec(self, cell: Cell) -> RunSpec:
        spec = cell.spec(cell.study.confirm.seeds[0], midpoint(cell))
        if self.sizes[cell.task].steps(spec) <= _WHOLE_STEPS:
            return spec
        # A training's curve has 50 points: with one epoch they are closer together.
        return spec.model_copy(update={"train": spec.train.model_copy(update={"epochs": 1})})

    def _run(self, cell: Cell, spec: RunSpec, watch: _ProbeWatch) -> RunResult | None:
        settings = cell.study.executor
        result: RunResult | None
        executor = self._executor(settings)
        workspace = Workspace(
            data_dir=self.data_dir.resolve(),
            folders=spec.model.folders(),
            cache_dir=self.scratch / "cache",
            run_dir=Path(tempfile.mkdtemp(dir=self.scratch)),
            threads=settings.threads_of_a_run(os.cpu_count() or 1),
        )
        late = threading.Timer(60 + _LONGEST * self.seconds, executor.close)
        late.daemon = True
        late.start()
        try:
            result = executor.run(spec, watch, workspace)
        except StopRun:
            result = None
        except RunInterrupted:
            return None
        except RunFailed as failed:
            raise RunFailed(f"probe of {cell.label}: {failed.reason}", failed.detail) from failed
        finally:
            late.cancel()
        self.idle.append(executor)
        return result

    def _executor(self, settings: ExecutorSettings) -> Executor:
        """Return an idle executor: its start, once in a study, happens once here too."""
        with contextlib.suppress(IndexError):
            return self.idle.pop()
        executor = settings.open()
        self.executors.append(executor)
        return executor


def measure(
    begun: float, times: Sequence[tuple[float, RunEvent]], result: RunResult | None
) -> ProbeResult | None:
    """Compute the seconds of a run's parts from the times of its events.

    A step after the start is left out if there are others: it includes the first use of
    everything. The time before an epoch's event belongs in part to steps after the last point of
    the curve; the rest is the evaluation.

    Args:
        begun: Time of the call.
        times: Events with the times of their arrival.
        result: The result of a run that ended by itself, whose own times are used.
    """
    if not times:
        return None
    load = times[0][0] - begun
    trained = None if result is None else result.parameters.trained
    pairs = list(itertools.pairwise(times))
    between = [
        (later - earlier, event.step - before.step, before.kind)
        for (earlier, before), (later, event) in pairs
        if event.kind == "step" and event.step > before.step
    ]
    usual = [(taken, steps) for taken, steps, kind in between if kind != "start"]
    usual = usual or [(taken, steps) for taken, steps, _ in between]
    if not usual:
        return None
    step = sum(taken for taken, _ in usual) / sum(steps for _, steps in usual)
    rates = [taken / steps for taken, steps in usual]
    error = stdev(rates) / len(rates) ** 0.5 / step if len(rates) > 1 else _UNKNOWN_ERROR
    evaluations = [
        max(0.0, later - earlier - (event.step - before.step) * step)
        for (earlier, before), (later, event) in pairs
        if event.kind == "epoch"
    ]
    evaluation = fmean(evaluations) if evaluations else None
    if result is not None:
        step = result.seconds["train"] / times[-1][1].step
        evaluation = result.seconds["eval"] / max(1, len(evaluations))
    return ProbeResult(load, step, error, evaluation, result is not None, trained)
