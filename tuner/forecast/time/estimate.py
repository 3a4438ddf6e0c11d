"""Put the estimate of a study together."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainers.errors import ConfigError
from tuner.config import Cell, StudyConfig, plan
from tuner.forecast.time.cost import (
    LAUNCH_SECONDS,
    START_SECONDS,
    CellCost,
    Work,
    cost_of_earlier,
    cost_of_probe,
    cost_of_similar,
    total_seconds,
)
from tuner.forecast.time.disk import CellFiles, disk_of, trained_parameters
from tuner.forecast.time.forecasts import (
    CellForecast,
    Count,
    Estimate,
    Layout,
    RunCounts,
    TimeForecast,
)
from tuner.forecast.time.history import CellProgress, History, progress, read_history
from tuner.forecast.time.probe import ProbeResult, probe_cells
from tuner.forecast.time.run_size import TaskSize, measure_task
from tuner.forecast.time.seeds_needed import check_detect, seeds_of
from tuner.store import Store, find_store
from tuner.study import Findings, check_inputs, inspect_cells


@dataclass(frozen=True)
class EstimateOptions:
    """The options of an estimate."""

    detect: float = 0.01
    """Difference between arms to detect, in the metric's unit."""
    spread: float | None = None
    """Standard deviation of one arm over seeds, such as a published one."""
    probe: bool | None = None
    """True: measure every cell that has no earlier runs of its own; False: measure nothing;
    None: measure those that have no similar runs either."""
    probe_seconds: float = 20.0
    """Training of each probe, about."""


@dataclass(frozen=True)
class _Costs:
    """The costs of the cells' runs, by label; cells with unknown costs are left out."""

    cells: Mapping[str, CellCost]
    measured: Mapping[str, ProbeResult]
    start: float
    """Seconds before the first run."""


def estimate_study(
    config: StudyConfig,
    *,
    store: str | Path | Store,
    data_dir: Path,
    tracking: str | None = None,
    options: EstimateOptions | None = None,
) -> Estimate:
    """Estimate the remaining work of a study. Nothing is written to the store.

    Args:
        config: The study.
        store: Store of the study; it need not exist.
        data_dir: Folder of the task files.
        tracking: Address of the MLflow server that has its runs; by default the store has them.
        options: What to detect, and whether to measure.

    Raises:
        ConfigError: An option is invalid, or the store cannot be read.
        DataError, ModelError: As `run_study`.
        RunFailed: A probe failed.
    """
    options = options or EstimateOptions()
    check_detect(config, options.detect, options.spread)
    if not 0 < options.probe_seconds < math.inf:
        raise ConfigError(
            f"--probe-seconds: got {options.probe_seconds}; allowed: a number above 0"
        )
    config = config.with_data_dir(data_dir)
    every = plan(config, check_inputs(config, data_dir))
    history = read_history(config, find_store(store), tracking=tracking)
    findings = _look(every, history, data_dir)
    cells = [cell for cell in every if not findings.of(cell)]
    seed = config.confirm.seeds[0].data
    sizes = {task.name: measure_task(task, data_dir, seed) for task in config.tasks}
    done = {cell.label: progress(cell, history) for cell in cells}
    left = [cell for cell in cells if done[cell.label].left]
    costs = _costs_of(left, history, sizes, data_dir=data_dir, options=options)
    counted = trained_parameters(cells, history) | {
        label: found.trained for label, found in costs.measured.items() if found.trained
    }
    files = [
        CellFiles(cell, done[cell.label], sizes[cell.task], counted.get(cell.label))
        for cell in cells
    ]
    return Estimate(
        study=config.name,
        layout=_layout(config),
        cells=tuple(_cell(cell, done[cell.label], costs.cells) for cell in cells),
        runs=_runs(list(done.values())),
        time=_time(cells, done, costs),
        disk=disk_of(files, history),
        seeds=seeds_of(config, history.runs, options.detect, options.spread),
        notes=(*findings.left_out(), *_few_points(config), *_notes(costs, history)),
    )


def _look(cells: Sequence[Cell], history: History, data_dir: Path) -> Findings:
    """Check the cells with remaining runs, as `run_study` does, which leaves out faulty ones.

    Raises:
        ConfigError: No cell can run.
    """
    if not any(progress(cell, history).left for cell in cells):
        return Findings()
    study = cells[0].study
    executor = study.executor.open(ranks=study.most_ranks())
    try:
        return inspect_cells(cells, data_dir, executor.compute, history.store.cache_dir).findings
    finally:
        executor.close()


def _costs_of(
    cells: Sequence[Cell],
    history: History,
    sizes: Mapping[str, TaskSize],
    *,
    data_dir: Path,
    options: EstimateOptions,
) -> _Costs:
    """Return costs by earlier runs, else by similar ones, else by probes."""
    costs = {cell.label: cost_of_earlier(cell, history) for cell in cells}
    if options.probe is not True:
        for cell in cells:
            costs[cell.label] = costs[cell.label] or cost_of_similar(cell, history)
    unknown = [cell for cell in cells if costs[cell.label] is None]
    measured: dict[str, ProbeResult] = {}
    start = START_SECONDS
    if unknown and options.probe is not False:
        probes = probe_cells(
            unknown, sizes=sizes, data_dir=data_dir, seconds=options.probe_seconds
        )
        start, measured = probes.start + LAUNCH_SECONDS, probes.cells
    for cell in unknown:
        if cell.label in measured:
            found = measured[cell.label]
            costs[cell.label] = cost_of_probe(cell, found, sizes[cell.task])
    known = {label: cost for label, cost in costs.items() if cost is not None}
    return _Costs(known, measured, start)


def _layout(config: StudyConfig) -> Layout:
    return Layout(
        tasks=len(config.tasks),
        models=len(config.models),
        arms=len(config.arms),
        trials=config.search.trials,
        points=config.few_points(),
        search_seeds=len(config.search.seeds),
        finalists=min(config.search.finalists.count, config.search.trials)
        if config.finalist_seeds()
        else 0,
        finalist_seeds=len(config.finalist_seeds()),
        confirm_seeds=len(config.confirm.seeds),
        workers=config.executor.workers,
    )


def _few_points(config: StudyConfig) -> list[str]:
    return [
        f"{arm}: {config.search.trials} trials planned, "
        f"{points} different point{'s' * (points > 1)} in its space: no equal budget"
        for arm, points in config.few_points().items()
    ]


def _runs(done: Sequence[CellProgress]) -> RunCounts:
    search = _sum([cell.search for cell in done])
    finalists = _sum([cell.finalists for cell in done])
    confirm = _sum([cell.confirm for cell in done])
    total = _sum([search, finalists, confirm])
    return RunCounts(search=search, finalists=finalists, confirm=confirm, total=total)


def _sum(counts: Sequence[Count]) -> Count:
    return Count(
        planned=sum(count.planned for count in counts),
        done=sum(count.done for count in counts),
        left=sum(count.left for count in counts),
    )


def _time(cells: Sequence[Cell], done: Mapping[str, CellProgress], costs: _Costs) -> TimeForecast:
    left = [cell.label for cell in cells if done[cell.label].left]
    work = [Work(done[label], costs.cells[label]) for label in left if label in costs.cells]
    workers = cells[0].study.executor.workers
    seconds = total_seconds(work, cells=len(cells), workers=workers, start=costs.start)
    return TimeForecast(
        seconds=seconds if len(work) == len(left) else None,
        sources=tuple(dict.fromkeys(part.cost.source for part in work)),
        based_on=sum(part.cost.based_on for part in work),
        upper=any(part.cost.upper and part.progress.search.left for part in work),
    )


def _cell(cell: Cell, done: CellProgress, costs: Mapping[str, CellCost]) -> CellForecast:
    cost = costs.get(cell.label)
    return CellForecast(
        task=cell.task,
        model=cell.model,
        arm=cell.arm,
        search=done.search,
        finalists=done.finalists,
        confirm=done.confirm,
        search_run_seconds=cost.search.mean if cost and cell.searched else None,
        confirm_run_seconds=cost.confirm.mean if cost else None,
        source=cost.source if cost else None,
        based_on=cost.based_on if cost else 0,
    )


def _notes(costs: _Costs, history: History) -> list[str]:
    hosts = {run.facts["host"] for run in history.runs if "host" in run.facts}
    measured = any(cost.source != "probe" for cost in costs.cells.values())
    elsewhere = measured and bool(hosts - {platform.node()})
    return ["some earlier runs were done on another machine"] if elsewhere else []
