"""Download task files with a progress bar for each."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from trainers.data import fetch
from trainers.errors import ConfigError
from trainers.interfaces import SourceFile, Task
from trainers.plugins import resolve


def fetch_tasks(names: list[str], data_dir: Path) -> None:
    """Download the files of the named tasks that are not there yet.

    Raises:
        ConfigError: No such task.
        DataError: A download failed.
    """
    tasks: list[Task] = []
    for name in names:
        try:
            tasks.append(resolve(Task, "trainers.tasks", name))  # type: ignore[type-abstract]  # a base
        except ValueError as error:
            raise ConfigError(str(error)) from error
    console = Console()
    for task in tasks:
        if not task.sources():
            console.print(f"{task.name}: no files to download")
        for source in task.sources():
            _fetch_one(source, data_dir, console)


def _fetch_one(source: SourceFile, data_dir: Path, console: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=console, transient=True) as progress:
        bar = progress.add_task(source.path, total=None)

        def show(received: int, total: int | None) -> None:
            progress.update(bar, completed=received, total=total)

        path = fetch(source, data_dir, progress=show)
    console.print(f"{path}: good", soft_wrap=True)
