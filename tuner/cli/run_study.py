"""`tuner run-study`: run a study, show its progress, print the comparison."""

from __future__ import annotations

import gc
from typing import Annotated

import typer

from tuner.cli.interrupts import listen_to_termination
from tuner.cli.options import (
    DEFAULT_STORE,
    DataDir,
    FilesDir,
    StudyName,
    StudyStore,
    Tracking,
)

EXAMPLE = (
    "tuner run-study quickstart. Exit codes: 0 all is done; 1 some runs failed or diverged, or a "
    "cell was given up; 2 an error to correct first; 3 the time was up with work left, whatever "
    "failed: the same command continues; 130 Ctrl-C."
)


def command(
    study: StudyName,
    store: StudyStore = DEFAULT_STORE,
    files: FilesDir = None,
    tracking: Tracking = None,
    data_dir: DataDir = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Begin nothing new after this many seconds; exit code 3 where work is left, 0 "
            "where all was done before.",
        ),
    ] = None,
) -> None:
    """Run a study, or continue it where it stopped, and print the comparison."""
    from rich.console import Console

    from tuner.cli.live import LiveView
    from tuner.cli.log_lines import show_reading
    from tuner.cli.outcome_text import Destination, show_outcome
    from tuner.config import DATA_DIR, load_study, plan
    from tuner.store import find_store, full_disk_named
    from tuner.study import run_study

    listen_to_termination()
    folder, kept = data_dir or DATA_DIR, find_store(store, files)
    config = load_study(study, data_dir=folder)
    if timeout is not None:
        config = config.model_copy(update={"timeout_seconds": timeout})
    console = Console()
    for remark in config.remarks():
        console.print(remark, style="yellow", markup=False, highlight=False)
    show_reading()
    gc.freeze()  # modules and their like, half a million objects, never go
    view = LiveView(console, plan(config), workers=config.executor.workers)
    with full_disk_named(kept.root, folder), view:
        outcome = run_study(
            config,
            store=kept,
            tracking=tracking,
            data_dir=folder,
            watch=view.watch,
        )
    show_outcome(console, outcome, study=study, place=Destination(kept, tracking))
    raise typer.Exit(outcome.exit_code)
