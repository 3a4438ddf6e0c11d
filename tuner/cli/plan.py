"""`tuner plan`: estimate what a study takes, and print it at a glance or as JSON."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import (
    DEFAULT_STORE,
    DataDir,
    FilesDir,
    StudyName,
    StudyStore,
    Tracking,
)

if TYPE_CHECKING:
    from tuner.forecast.time import Count, Estimate, PairSpread, SeedsForecast, Span

EXAMPLE = "tuner plan quickstart --detect 0.02"
_SOURCES = {
    "earlier runs": "earlier runs",
    "similar runs": "runs of the same task and model (rough)",
    "probe": "a measured probe of each cell",
}
_INDENT = 8


def command(
    study: StudyName,
    store: StudyStore = DEFAULT_STORE,
    files: FilesDir = None,
    tracking: Tracking = None,
    data_dir: DataDir = None,
    detect: Annotated[
        float, typer.Option(help="Difference to detect, in the metric's unit: 0.01 is a point.")
    ] = 0.01,
    spread: Annotated[
        float | None,
        typer.Option(help="Standard deviation of an arm over seeds, such as a published one."),
    ] = None,
    probe: Annotated[
        bool | None,
        typer.Option(
            "--probe/--no-probe",
            help="Measure each cell that has no earlier runs, or none; default: each for which "
            "the store has no similar runs either.",
        ),
    ] = None,
    probe_seconds: Annotated[
        float, typer.Option(help="Seconds of training in each probe, about.")
    ] = 20.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print all numbers as JSON.")] = False,
) -> None:
    """Estimate what a study takes before it runs: runs, time, disk, seeds. Writes nothing."""
    from tuner.config import DATA_DIR
    from tuner.forecast.time import EstimateOptions, estimate_study
    from tuner.store import find_store
    from tuner.study import recall_study

    gc.enable()  # a probe trains
    options = EstimateOptions(detect, spread, probe, probe_seconds)
    folder, place = data_dir or DATA_DIR, find_store(store, files)
    config = recall_study(study, place, data_dir=folder)
    estimate = estimate_study(
        config, store=place, tracking=tracking, data_dir=folder, options=options
    )
    text = estimate.model_dump_json(indent=2) if as_json else "\n".join(estimate_lines(estimate))
    typer.echo(text)


def estimate_lines(estimate: Estimate) -> Iterator[str]:
    """Yield an estimate as lines to read."""
    yield _cells(estimate)
    yield ""
    yield from _table(estimate)
    yield ""
    for name, lines in (
        ("time", _time(estimate)),
        ("disk", _disk(estimate)),
        ("seeds", _seeds(estimate.seeds)),
        ("note", iter(estimate.notes)),
    ):
        for index, line in enumerate(lines):
            yield f"{'' if index else name:{_INDENT}}{line}"


def duration(seconds: float) -> str:
    """Write seconds in words, with two units at most."""
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds else "0 s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 600:
        minutes, rest = divmod(round(seconds / 5) * 5, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    if seconds < 3570:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        step = 600 if seconds > 6 * 3600 else 60
        hours, rest = divmod(round(seconds / step) * step // 60, 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{seconds / 86400:.1f} days"


def size(count: float) -> str:
    """Write bytes in a unit that leaves a short number."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.2g} {unit}" if count < 10 else f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _cells(estimate: Estimate) -> str:
    counts = " x ".join(
        _number(count, noun)
        for count, noun in (
            (estimate.layout.tasks, "task"),
            (estimate.layout.models, "model"),
            (estimate.layout.arms, "arm"),
        )
    )
    layout = estimate.layout
    every = layout.tasks * layout.models * layout.arms
    out = every - len(estimate.cells)
    left_out = f", {out} of them left out: they cannot run" if out else ""
    return f"{estimate.study}: {counts} = {_number(every, 'cell')}{left_out}"


def _table(estimate: Estimate) -> Iterator[str]:
    yield f"{'':14}{'planned':>9}{'done':>9}{'left':>9}"
    layout = estimate.layout
    trials = f"{_number(layout.trials, 'trial')} x {_number(layout.search_seeds, 'seed')}"
    searched = sum(cell.search.planned > 0 for cell in estimate.cells)
    cells = "cell" if searched == len(estimate.cells) else "cell whose arm has a space"
    search = f"{trials} in each {cells}{'' if layout.points else ': an equal budget'}"
    confirm = f"{_number(layout.confirm_seeds, 'seed')} in each cell"
    yield _row("search runs", estimate.runs.search, search if searched else "no arm has a space")
    if estimate.runs.finalists.planned:
        most = f"at most {_number(layout.finalists, 'trial')} x "
        finalists = f"{most}{_number(layout.finalist_seeds, 'seed')} in each {cells}"
        yield _row("finalists", estimate.runs.finalists, finalists)
    yield _row("confirm runs", estimate.runs.confirm, confirm)
    yield _row("all runs", estimate.runs.total, "")


def _row(name: str, count: Count, about: str) -> str:
    return f"{name:14}{count.planned:>9}{count.done:>9}{count.left:>9}   {about}".rstrip()


def _time(estimate: Estimate) -> Iterator[str]:
    if not estimate.runs.total.left:
        yield "nothing is left to be done"
    elif estimate.time.seconds is None:
        yield "unknown: some cell has no earlier runs and was not measured"
    else:
        at_once = (
            f", {_number(estimate.layout.workers, 'run')} at once"
            if estimate.layout.workers > 1
            else ""
        )
        yield f"{_span(estimate.time.seconds)}, from {_source(estimate)}{at_once}"
        if estimate.time.upper:
            yield "an upper estimate: the pruner ends bad trials early"


def _span(span: Span) -> str:
    return f"{duration(span.likely)} ({duration(span.low)} to {duration(span.high)})"


def _source(estimate: Estimate) -> str:
    if estimate.time.sources == ("earlier runs",):
        return _number(estimate.time.based_on, "earlier run")
    return " and ".join(_SOURCES[source] for source in estimate.time.sources)


def _disk(estimate: Estimate) -> Iterator[str]:
    disk = estimate.disk
    parts = [
        (disk.run_folders_bytes, "run folders"),
        (disk.artifacts_bytes, "MLflow's files"),
        (disk.databases_bytes, "databases"),
        (disk.cache_bytes, "token cache"),
        (disk.models_bytes or 0, "models"),
    ]
    if not estimate.runs.total.left:
        yield "nothing more"
        return
    said = ", ".join(f"{name} {size(count)}" for count, name in parts if count)
    unknown = "; models unknown before a run has finished" if disk.models_bytes is None else ""
    yield f"about {size(disk.total_bytes)} more, roughly: {said}{unknown}"


def _seeds(seeds: SeedsForecast) -> Iterator[str]:
    if not seeds.comparisons:
        yield "one arm: there is nothing to compare"
        return
    several = f", shared by {seeds.comparisons} comparisons" if seeds.comparisons > 1 else ""
    yield (
        f"to detect a difference of {seeds.difference:g} in {seeds.metric} with "
        f"{seeds.power:.0%} power at level {seeds.level:g}{several}:"
    )
    for block in seeds.blocks:
        yield f"  {block.task} / {block.model}, {_number(block.pairs, 'pair')} in {seeds.source}"
        yield f"    {_pair(block.largest)}{', the widest' if block.pairs > 1 else ''}"
        if block.pairs > 1:
            yield f"    {_pair(block.median)}, the median"
    if seeds.given_std is not None:
        yield (
            f"  {_needed(seeds.given_seeds)}, if each arm has a standard deviation of "
            f"{seeds.given_std:g}, independently of the other"
        )
    elif not seeds.blocks:
        yield "  no spread over seeds has been seen yet; name one: --spread 0.01"
    yield f"  the study plans {seeds.planned}"


def _pair(pair: PairSpread) -> str:
    return (
        f"{_needed(pair.seeds)}: {pair.arm_a} - {pair.arm_b} has a standard deviation of "
        f"{pair.std_difference:.2g} over {_number(pair.n, 'seed')}"
    )


def _needed(seeds: int | None) -> str:
    return "more than 1,000 seeds" if seeds is None else _number(seeds, "seed")


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
