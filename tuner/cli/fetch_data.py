"""`tuner fetch-data`: download task files, with a progress bar for each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.options import DataDir

if TYPE_CHECKING:
    from rich.console import Console

    from trainers.interfaces import SourceFile, Task

EXAMPLE = "tuner fetch-data restaurant_sup acl_sup"


def command(
    tasks: Annotated[list[str], typer.Argument(help="Task names; see `tuner list tasks`.")],
    data_dir: DataDir = None,
) -> None:
    """Download task files from their pinned sources and check them."""
    from rich.console import Console

    from tuner.config import DATA_DIR

    console = Console()
    for task in [_find_task(name) for name in tasks]:
        if not task.sources():
            console.print(f"{task.name}: no files to download")
        for source in task.sources():
            _fetch_one(source, data_dir or DATA_DIR, console)


def _find_task(name: str) -> Task:
    from trainers.errors import ConfigError
    from trainers.interfaces import Task
    from trainers.plugins import resolve

    try:
        return resolve(Task, "trainers.tasks", name)  # type: ignore[type-abstract]  # a base
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _fetch_one(source: SourceFile, data_dir: Path, console: Console) -> None:
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TransferSpeedColumn,
    )

    from trainers.data import fetch

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=console, transient=True) as progress:
        bar = progress.add_task(source.path, total=None)

        def show(received: int, total: int | None) -> None:
            progress.update(bar, completed=received, total=total)

        path = fetch(source, data_dir, progress=show)
    console.print(f"{path}: good", soft_wrap=True)
