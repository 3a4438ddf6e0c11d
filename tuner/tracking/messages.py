"""Messages between a launcher and the process that projects its journal."""

from __future__ import annotations

from pathlib import Path

from trainers.plugins import Frozen


class ProjectorTask(Frozen):
    """The task of the process: a line of JSON on its standard input."""

    root: Path
    """Folder of the store's files."""
    shared: str | None
    """URL of the journal's database, where it is not in the folder."""
    target: str
    """MLflow: a folder, or the address of a server."""
    tracker: str
    """MLflow's name in the journal's database."""
    folder: str
    """Working folder of the launcher."""
    variables: dict[str, str]
    """Environment of the launcher."""


class ProjectionStatus(Frozen):
    """A status of the process: a line of JSON on its standard output."""

    at: int | None = None
    """Id up to which all lines are projected."""
    away: str | None = None
    """Why the server cannot be reached."""
    refused: str | None = None
    """Why MLflow refuses a request; the projection has stopped."""
