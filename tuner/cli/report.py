"""`tuner report`: compare studies; in the terminal in one form, in a folder in several."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainers.errors import ConfigError, known, nearest
from tuner.cli.options import (
    DEFAULT_STORE,
    DataDir,
    FilesDir,
    StoreAddress,
    Tracking,
    is_server,
)

if TYPE_CHECKING:
    from rich.console import Console

    from tuner.report import Report
    from tuner.store import Reader, Store

EXAMPLE = "tuner report quickstart --baseline full --output comparison"


def command(
    studies: Annotated[
        list[str],
        typer.Argument(
            metavar="STUDY...",
            help="Path of a YAML file: the study as it is now. Name in the store: as it was last "
            "run there. Otherwise a shipped study.",
        ),
    ],
    store: StoreAddress = DEFAULT_STORE,
    files: FilesDir = None,
    tracking: Tracking = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="Forms of the report, as `tuner list forms` names them, separated by commas. "
            "Default: terminal at a terminal, else md; with --output all but terminal."
        ),
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
        typer.Option(help="Show the study as it was run earlier, by an id that a report names."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Compare the confirm runs of studies, as their files or their last run define them."""
    from tuner.config import DATA_DIR, find_reference
    from tuner.report import build_report, find_study

    formats = _chosen_formats(format, output)
    if reference is not None:
        find_reference(reference)
    options = {"metric": metric, "baseline": baseline, "reference": reference}
    reader, shown = open_store(store, files, tracking)
    if definition is not None and len(studies) > 1:
        raise ConfigError(
            f"--definition: goes with one study, got {len(studies)}: {', '.join(studies)}"
        )
    folder = data_dir or DATA_DIR
    found = [
        find_study(study, reader, store=shown, data_dir=folder, definition=definition)
        for study in studies
    ]
    _write_report(build_report(found, store=reader, **options), formats, output)


def _chosen_formats(text: str | None, output: Path | None) -> tuple[str, ...] | None:
    """Read `--format`; by default tables at a terminal, Markdown into a pipe.

    None stands for all usual forms, by default in a folder.

    Raises:
        ConfigError: No such form, or several without a folder; or the folder is a file.
    """
    from tuner.report import form_names

    if output is not None and output.exists() and not output.is_dir():
        raise ConfigError(f"--output {output}: is a file; name a folder")
    if text is None:
        form = "terminal" if sys.stdout.isatty() else "md"
        return (form,) if output is None else None
    forms = form_names()
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in forms:
            near = nearest(name, forms)
            raise ConfigError(
                f"--format: no such format, got {name!r}; known: {known(forms)}{near}"
            )
    formats = tuple(dict.fromkeys(names))
    if output is None and len(formats) > 1:
        raise ConfigError(f"--format {text}: several formats need a folder; add --output DIR")
    return formats


def open_store(store: str, files: Path | None, tracking: str | None) -> tuple[Reader, str | Store]:
    """Open a store's journal, or an MLflow server; return its name for messages too.

    Args:
        store: What the studies were run with; or the address of a server, which is read itself.
        files: See `find_store`.
        tracking: The server that the runs were recorded at. It is read where the store is not
            here.

    Raises:
        ConfigError: There are no studies, or nothing answers there.
    """
    from tuner.store import find_store
    from tuner.tracking import open_reader, open_server_reader

    if files is None and is_server(store):
        return open_server_reader(store), store
    place = find_store(store, files)
    if tracking is not None and not place.exists():
        return open_server_reader(tracking), tracking
    return open_reader(place, tracking=tracking), place


def _write_report(report: Report, formats: Sequence[str] | None, output: Path | None) -> None:
    """Print one form, or write the files and name them."""
    from rich.console import Console

    from tuner.report import form_class

    if output is None:
        (form,) = formats or ("md",)
        show(report, form, Console())
        return
    pictures = formats is None or any(form_class(form).PICTURES for form in formats)
    try:
        paths = report.write(output, formats, pictures=("svg", "png") if pictures else ())
    except OSError as error:
        raise ConfigError(f"--output {output}: {error.strerror}") from error
    for path in paths:
        typer.echo(path)


def show(report: Report, form: str, console: Console) -> None:
    """Print a form; one with a field for a width or for colours gets those of the terminal."""
    from tuner.report import form_class

    coloured = console.color_system not in (None, "windows")
    terminal = {"width": console.width, "colours": console.color_system if coloured else None}
    settings = {n: terminal[n] for n in terminal.keys() & form_class(form).model_fields.keys()}
    typer.echo(report.text(form, **settings), file=console.file, nl=False)
