"""`tuner run-study`: run a study, show its progress, print the comparison."""

from __future__ import annotations

import gc
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainers.errors import ConfigError
from tuner.cli.interrupts import listen_to_termination
from tuner.cli.options import (
    DEFAULT_STORE,
    DataDir,
    FilesDir,
    StudyName,
    StudyStore,
    Tracking,
)

if TYPE_CHECKING:
    from tuner.config import StudyConfig
    from tuner.store import Store

EXAMPLE = (
    "tuner run-study quickstart. Exit codes: 0 all is done; 1 some runs failed or diverged, or a "
    "cell was given up; 2 an error to correct first; 3 the time was up with work left, whatever "
    "failed: the same command continues; 130 Ctrl-C."
)
_MORE = re.compile(r"\+([1-9][0-9]{0,2})", re.ASCII)


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
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="+N",
            help="Add N confirm seeds to a study that has ended. They are kept in the store: "
            "without the option the study has them too.",
        ),
    ] = None,
) -> None:
    """Run a study, or continue it where it stopped, and print the comparison."""
    from rich.console import Console

    from tuner.cli.live import LiveView
    from tuner.cli.log_lines import show_reading
    from tuner.cli.outcome_text import Destination, show_outcome
    from tuner.config import DATA_DIR, add_seeds, plan
    from tuner.store import find_store, full_disk_named
    from tuner.study import recall_study, run_study

    listen_to_termination()
    folder, kept = data_dir or DATA_DIR, find_store(store, files)
    more = _more_seeds(seeds)
    config = recall_study(study, kept, data_dir=folder, as_run=bool(more))
    if more:
        _refuse_unended(config, kept, study=study, data_dir=folder, seeds=more)
        config = add_seeds(config, more)
    if timeout is not None:
        config = config.model_copy(update={"timeout_seconds": timeout})
    console = Console()
    for remark in (*config.remarks(), *_added(config)):
        console.print(remark, style="yellow", markup=False, highlight=False)
    show_reading()
    gc.freeze()  # modules and their like, half a million objects, never go
    gc.enable()
    view = LiveView(console, plan(config), workers=config.executor.workers)
    with full_disk_named(kept.root, folder), view:
        outcome = run_study(
            config,
            store=kept,
            tracking=tracking,
            data_dir=folder,
            watch=view.watch,
        )
    place = Destination(kept, tracking)
    show_outcome(console, outcome, study=study, place=place, summary=view.summary())
    raise typer.Exit(outcome.exit_code)


def _more_seeds(text: str | None) -> int:
    """Read `--seeds`; return 0 where it is left out.

    Raises:
        ConfigError: It is no plus with a number.
    """
    found = _MORE.fullmatch(text or "")
    if text is not None and found is None:
        raise ConfigError(
            f"--seeds: got {text!r}; allowed: a plus and a whole number from 1 to 999, such as +4"
        )
    return int(found.group(1)) if found else 0


def _refuse_unended(
    config: StudyConfig, store: Store, *, study: str, data_dir: Path, seeds: int
) -> None:
    """Refuse to add seeds to a study that was never run, or that has runs left to do.

    Raises:
        ConfigError: In one line.
    """
    from tuner.report import find_study, standing_of
    from tuner.store import NoStudies, open_journal_reader

    asked = f"--seeds +{seeds}: study {config.name!r}"
    allowed = f"allowed: a study that has ended; `tuner run-study {study}` runs it"
    try:
        reader = open_journal_reader(store)
    except NoStudies:
        raise ConfigError(f"{asked} was never run in {store.shown}; {allowed}") from None
    if config.name not in reader.studies():
        raise ConfigError(f"{asked} was never run in {store.shown}; {allowed}")
    now = standing_of(find_study(study, reader, store=store, data_dir=data_dir), reader)
    if not now.ended:
        raise ConfigError(
            f"{asked} has not ended: {now.done} of {now.planned} runs are done; {allowed} to its "
            "end"
        )


def _added(config: StudyConfig) -> tuple[str, ...]:
    """Return a line on the seeds that were added to a study, where some were."""
    confirm = config.confirm
    if not confirm.added:
        return ()
    seeds = ", ".join(str(one.init) for one in confirm.seeds[-confirm.added :])
    return (
        f"confirm.seeds: {len(confirm.first)} as written, and {confirm.added} that --seeds "
        f"added: {seeds}",
    )
