"""Write a report: to the terminal in one form, or to a folder in several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import typer

from trainers.errors import ConfigError, known
from tuner.config import DATA_DIR, hide_password
from tuner.report import FORMATS, Asked, Format, Report, find_study, keep_report
from tuner.store.full_disk import missing_space
from tuner.tracking import locate_store, open_reader, settle_or_say

_RAW: set[Format] = {"csv", "json"}
"""Forms for machines, which no picture goes with."""


def chosen_formats(text: str | None, output: Path | None) -> tuple[Format, ...]:
    """Read `--format`; by default Markdown to the terminal, everything to a folder.

    Raises:
        ConfigError: No such format, or several without a folder; or the folder is a file.
    """
    if output is not None and output.exists() and not output.is_dir():
        raise ConfigError(f"--output {output}: is a file; name a folder")
    if text is None:
        return ("md",) if output is None else FORMATS
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in get_args(Format):
            raise ConfigError(f"--format: no such format, got {name!r}; known: {known(FORMATS)}")
    formats = tuple(form for form in FORMATS if form in names)
    if output is None and len(formats) > 1:
        raise ConfigError(f"--format {text}: several formats need a folder; add --output DIR")
    return formats


def find_studies(
    studies: Sequence[str], store: str | Path, *, definition: str | None, data_dir: Path | None
) -> list[Asked]:
    """Find the studies that the command names.

    Raises:
        ConfigError: The store does not hold one, or a definition is named of several.
    """
    if definition is not None and len(studies) > 1:
        raise ConfigError(
            f"--definition: goes with one study, got {len(studies)}: {', '.join(studies)}"
        )
    reader, folder = open_reader(store), data_dir or DATA_DIR
    if locate_store(store).artifact_uri is not None:
        settle_or_say(Path(store))
    return [
        find_study(study, reader, store=store, data_dir=folder, definition=definition)
        for study in studies
    ]


def write_report(report: Report, formats: Sequence[Format], output: Path | None) -> None:
    """Print one form, or write the files and name them."""
    if output is None:
        (form,) = formats
        (text, *_) = report.files([form]).values()
        typer.echo(text, nl=False)
        return
    try:
        paths = report.write(
            output, formats, pictures=() if set(formats) <= _RAW else ("svg", "png")
        )
    except OSError as error:
        raise ConfigError(f"--output {output}: {error.strerror}") from error
    for path in paths:
        typer.echo(path)


def keep(report: Report, store: str | Path) -> None:
    """Keep a report in its store; where nothing can be written, say so: it was shown."""
    try:
        keep_report(report, store=store)
    except Exception as error:
        reason = missing_space(error)
        if reason is None and isinstance(error, OSError):
            reason = error.strerror
        if reason is None:
            raise
        place = hide_password(str(store))
        typer.echo(f"tuner: the report is not kept in {place}: {reason}", err=True)
