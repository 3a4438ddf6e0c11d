"""Look for files and folders that a study names by relative paths."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def places_of(name: str, folders: Sequence[Path]) -> tuple[Path, ...]:
    """List where a path may stand: in each of the folders in turn; `~` is the home folder.

    Args:
        name: What the study says; an absolute path stands in one place.
        folders: The study's folder first; none: the working folder.
    """
    try:
        path = Path(name).expanduser()
    except RuntimeError:  # no such user
        path = Path(name)
    return tuple(dict.fromkeys(folder / path for folder in folders or (Path(),)))


def find(name: str, folders: Sequence[Path], *, folder: bool = False) -> Path | None:
    """Return the first place where a path, or a folder, stands; None: nowhere."""
    # Unlike Path's methods, these take a name that is too long for one that is not there.
    is_there = os.path.isdir if folder else os.path.exists
    return next((place for place in places_of(name, folders) if is_there(place)), None)


def looked_in(name: str, folders: Sequence[Path], noun: str = "file") -> str:
    """Say that a path is in none of the places where it was looked for."""
    places = places_of(name, folders)
    if len(places) == 1:
        shown = str(places[0])
        return f"no such {noun}" if shown == name else f"no such {noun}: {shown}"
    shown = " or ".join(str(folder) for folder in dict.fromkeys(folders))
    return (
        f"no such {noun} in {shown}; put it beside the study, or name its folder with "
        "--data-dir or TUNER_DATA_DIR"
    )
