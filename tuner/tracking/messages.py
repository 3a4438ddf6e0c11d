"""What a launcher and the process that projects its journal say to each other."""

from __future__ import annotations

from pathlib import Path

from trainers.plugins import Frozen


class ProjectorTask(Frozen):
    """What the process is to do: a line of JSON on its standard input."""

    root: Path
    """Folder of the store's files."""
    shared: str | None
    """URL of the journal's database, where it is not in the folder."""
    target: str
    """MLflow: a folder, or the address of a server."""
    tracker: str
    """Its name in the journal's database."""
    folder: str
    """The launcher works in it."""
    variables: dict[str, str]
    """Of the launcher's environment."""


class News(Frozen):
    """What the process says: a line of JSON on its standard output."""

    at: int | None = None
    """MLflow has been told of all lines up to this id."""
    away: str | None = None
    """Why the server cannot be reached."""
    refused: str | None = None
    """Why MLflow does not take what is written; nothing more is tried then."""
