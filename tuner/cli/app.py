"""The commands. Each parses its arguments, calls the library, prints what came back."""

from __future__ import annotations

import gc
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.interrupts import listen_to_termination
from tuner.cli.options import (
    DEFAULT_STORE,
    DataDir,
    FilesDir,
    StoreAddress,
    StudyName,
    StudyStore,
    Tracking,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Compare full fine-tuning with adapters: equal search budgets, fresh seeds, MLflow.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tuner {version('tuner-studies')}")
        raise typer.Exit


@app.callback()
def options(
    show: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


_NOUNS = ("studies", "methods", "tasks", "models", "executors", "ds-configs")
"""What `list` lists."""


@app.command(
    "run-study",
    epilog="Example: tuner run-study quickstart. Exit codes: 0 all is done; 1 some runs failed or "
    "diverged, or a cell was given up; 2 something to mend first; 3 the time was up with work "
    "left, whatever failed: the same command goes on; 130 Ctrl-C.",
)
def run_study_command(
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
    """Run a study, or go on with it where it stopped, and print the comparison."""
    from rich.console import Console

    from tuner.cli.live import LiveView
    from tuner.cli.reading import show_reading
    from tuner.cli.show import Place, show_outcome
    from tuner.config import DATA_DIR, load_study, plan
    from tuner.store.full_disk import full_disk_named
    from tuner.store.location import find_store
    from tuner.study.run import run_study

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
    show_outcome(console, outcome, study=study, place=Place(kept.root, tracking))
    raise typer.Exit(outcome.exit_code)


@app.command(epilog="Example: tuner report quickstart --baseline full --output comparison")
def report(
    studies: Annotated[
        list[str],
        typer.Argument(
            metavar="STUDY...",
            help="A YAML file's path: as it is now. A name that the store holds: as it was last "
            "run there. Else a shipped study.",
        ),
    ],
    store: StoreAddress = DEFAULT_STORE,
    files: FilesDir = None,
    tracking: Tracking = None,
    format: Annotated[
        str | None,
        typer.Option(help="md, csv, tex, html, json; several with commas. Default: md, or all."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write the files and pictures to.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="Published numbers: a shipped name or a CSV file.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Compare every arm with this one alone.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Test metric to compare by; default: the study's.")
    ] = None,
    definition: Annotated[
        str | None,
        typer.Option(help="Show the study as it was run earlier; a report names such an id."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Compare the confirm runs of studies, as their files or their last run define them."""
    from tuner.cli.report import chosen_formats, find_studies, keep, write_report
    from tuner.config import find_reference
    from tuner.report import build_report
    from tuner.store.location import folder_of

    formats = chosen_formats(format, output)
    if reference is not None:
        find_reference(reference)
    options = {"metric": metric, "baseline": baseline, "reference": reference}
    place = tracking or folder_of(store, files)
    found = find_studies(studies, place, definition=definition, data_dir=data_dir)
    made = build_report(found, store=place, **options)
    write_report(made, formats, output)
    if definition is None:
        keep(made, place)


@app.command("list", epilog="Example: tuner list methods")
def list_command(
    noun: Annotated[
        str,
        typer.Argument(
            metavar="|".join(_NOUNS), help=f"{', '.join(_NOUNS[:-1])} or {_NOUNS[-1]}."
        ),
    ],
) -> None:
    """List what a study may name."""
    from trainers.errors import ConfigError, nearest
    from tuner.cli.show import show_list

    if noun not in _NOUNS:
        raise ConfigError(f"list: got {noun!r}; known: {', '.join(_NOUNS)}{nearest(noun, _NOUNS)}")
    show_list(noun)


@app.command(epilog="Example: tuner validate my-study.yaml")
def validate(
    study: StudyName,
    data_dir: DataDir = None,
    no_data: Annotated[
        bool,
        typer.Option("--no-data", help="Be quick: look neither at rows nor at models."),
    ] = False,
) -> None:
    """Check a study without running it: rows, models, both ends of every range."""
    from trainers.errors import SeveralFaults
    from tuner.cli.reading import show_reading
    from tuner.cli.validate import validate_study
    from tuner.config import DATA_DIR, load_study, plan
    from tuner.report.wording import counted

    show_reading()
    config = load_study(study, data_dir=data_dir or DATA_DIR)
    try:
        notes = validate_study(config, None if no_data else data_dir or DATA_DIR)
    except SeveralFaults as faults:
        raise SeveralFaults(f"{study}: {line}" for line in str(faults).splitlines()) from None
    cells = plan(config)
    few, most = config.few_points(), config.search.trials
    trials = sum(few.get(c.arm, most) * len(config.search.seeds) for c in cells if c.searched)
    runs = len(cells) * len(config.confirm.seeds)
    typer.echo(
        f"{study}: good. {counted(len(config.tasks), 'task')} x "
        f"{counted(len(config.models), 'model')} x {counted(len(config.arms), 'arm')} = "
        f"{counted(len(cells), 'cell')}; at most {counted(trials, 'search run')} and "
        f"{counted(runs, 'confirm run')}"
    )
    for note in (*notes, *config.remarks()):
        typer.echo(f"{study}: {note}", err=True)


@app.command("plan", epilog="Example: tuner plan quickstart --detect 0.02")
def plan_command(
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
            help="Measure each cell without earlier runs, or none; default: those that the "
            "store has no similar runs of either.",
        ),
    ] = None,
    probe_seconds: Annotated[float, typer.Option(help="Training of each probe, about.")] = 20.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print all numbers as JSON.")] = False,
) -> None:
    """Say what a study will take before it runs: runs, time, disk, seeds. Writes nothing."""
    from tuner.cli.plan import estimate_lines
    from tuner.config import DATA_DIR, load_study
    from tuner.forecast.time import Wishes, estimate_study
    from tuner.store.location import find_store

    wishes = Wishes(detect, spread, probe, probe_seconds)
    folder, place = data_dir or DATA_DIR, find_store(store, files).root
    config = load_study(study, data_dir=folder)
    estimate = estimate_study(
        config, store=place, tracking=tracking, data_dir=folder, wishes=wishes
    )
    text = estimate.model_dump_json(indent=2) if as_json else "\n".join(estimate_lines(estimate))
    typer.echo(text)


@app.command("fetch-data", epilog="Example: tuner fetch-data restaurant_sup acl_sup")
def fetch_data(
    tasks: Annotated[list[str], typer.Argument(help="Task names; see `tuner list tasks`.")],
    data_dir: DataDir = None,
) -> None:
    """Download task files from their pinned sources and check them."""
    from tuner.cli.fetch import fetch_tasks
    from tuner.config import DATA_DIR

    fetch_tasks(tasks, data_dir or DATA_DIR)


@app.command(epilog="Example: tuner ui --port 5001")
def ui(
    store: StudyStore = DEFAULT_STORE,
    files: FilesDir = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open the MLflow UI on a store, at 127.0.0.1, until Ctrl-C."""
    from tuner.store.location import folder_of
    from tuner.tracking.ui import serve_ui

    listen_to_termination()
    serve_ui(
        folder_of(store, files),
        port,
        lambda page: typer.echo(f"MLflow UI: {page} (Ctrl-C ends it)"),
    )
