"""`tuner validate`: check all of a study that can be checked without running it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainers.errors import ConfigError, DataError, SeveralFaults
from tuner.cli.options import DataDir, StudyName

if TYPE_CHECKING:
    from trainers.contract import RunSpec
    from tuner.config import Cell, StudyConfig
    from tuner.study import Inputs

EXAMPLE = "tuner validate my-study.yaml"


def command(
    study: StudyName,
    data_dir: DataDir = None,
    no_data: Annotated[
        bool,
        typer.Option("--no-data", help="Be quick: check neither rows nor models."),
    ] = False,
) -> None:
    """Check a study without running it: rows, models, both ends of every range."""
    from tuner.cli.log_lines import show_reading
    from tuner.config import DATA_DIR, describe_space, load_study

    show_reading()
    config = load_study(study, data_dir=data_dir or DATA_DIR)
    try:
        notes = _validate(config, None if no_data else data_dir or DATA_DIR)
    except SeveralFaults as faults:
        raise SeveralFaults(f"{study}: {line}" for line in str(faults).splitlines()) from None
    typer.echo(f"{study}: good. {_size(config)}")
    for name, arm in config.arms.items():
        if arm.space:
            typer.echo(f"{study}: {name} searches {describe_space(arm.space)}")
    for note in (*notes, *config.remarks()):
        typer.echo(f"{study}: {note}", err=True)


def _size(config: StudyConfig) -> str:
    """Return the numbers of a study's cells and runs, in words."""
    from tuner.config import plan
    from tuner.report import counted

    cells = plan(config)
    few, most = config.few_points(), config.search.trials
    trials = sum(few.get(c.arm, most) * len(config.search.seeds) for c in cells if c.searched)
    runs = len(cells) * len(config.confirm.seeds)
    finalists = sum(config.finalist_runs() for cell in cells if cell.searched)
    deciding = f", {counted(finalists, 'finalist run')}" if finalists else ""
    return (
        f"{counted(len(config.tasks), 'task')} x {counted(len(config.models), 'model')} x "
        f"{counted(len(config.arms), 'arm')} = {counted(len(cells), 'cell')}; at most "
        f"{counted(trials, 'search run')}{deciding} and {counted(runs, 'confirm run')}"
    )


def _validate(config: StudyConfig, data_dir: Path | None) -> list[str]:
    """Look for faults: in the rows, in the models, in every cell at both ends of its ranges.

    Args:
        config: The study.
        data_dir: Folder of the task files; None: check neither rows nor models.

    Returns:
        A line for each part that was not checked, and for each remark.

    Raises:
        SeveralFaults: All faults.
    """
    from tuner.config import plan
    from tuner.study import device_faults, read_inputs

    inputs = read_inputs(config, data_dir)
    cells = plan(config, inputs.digests)
    notes = [f"not checked: {missing}" for missing in inputs.missing]
    faults = list(inputs.faults)
    if data_dir is None:
        faults += dict.fromkeys(fault.text for fault in device_faults(cells))
        notes.append("not checked, because of --no-data: rows, classes, models with their methods")
    else:
        there = [cell for cell in cells if cell.model not in inputs.unusable_models]
        found, unseen = _try(there, data_dir, inputs) if there else ((), ())
        faults += found
        notes += unseen
    if faults:
        raise SeveralFaults(faults)
    inputs.log()
    return [*notes, *_few_points(config)]


def _try(
    cells: Sequence[Cell], data_dir: Path, inputs: Inputs
) -> tuple[Sequence[str], Sequence[str]]:
    """Return the faults of cells whose model is there, and notes on what could not be checked."""
    from tuner.config import read_executor
    from tuner.study import find_faults, read_lengths

    compute = read_executor("inprocess").open().compute
    found = find_faults(cells, data_dir, compute)
    faults = list(found.texts())
    try:
        check_cap(cells)
        lengths = read_lengths(cells, compute, data_dir)
        inputs.log_calls += [lengths.log, lengths.warn]
    except (ConfigError, DataError) as error:
        faults.append(str(error))
    return faults, found.notes


def _few_points(config: StudyConfig) -> Iterator[str]:
    for arm, points in config.few_points().items():
        different = f"{points} different point{'s' * (points > 1)}"
        yield (
            f"arms.{arm}.space: {config.search.trials} trials planned, {different}: a point that "
            "repeats is found, not trained again"
        )


def check_cap(cells: Sequence[Cell]) -> None:
    """Refuse a memory cap below a model's weights, where the model's config is available.

    Raises:
        ConfigError: In one line.
    """
    if not isinstance(cells[0].study.memory_cap, int):
        return  # or torch would be loaded
    from trainers.errors import ModelError
    from tuner.study import check_weights

    def weigh(weights: Callable[[RunSpec], int], spec: RunSpec) -> int:
        try:
            return weights(spec)
        except ModelError:  # not available here: the study will run elsewhere
            return 0

    check_weights(cells, weigh)
