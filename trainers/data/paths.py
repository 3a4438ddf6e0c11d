"""Look for files and folders that a study names by relative paths."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path


def places_of(name: str, folders: Sequence[Path]) -> tuple[Path, ...]:
    """Return a path in each of the folders in turn; `~` is the home folder.

    Args:
        name: The study's text; an absolute path has one place.
        folders: The study's folder first; none: the working folder.
    """
    try:
        path = Path(name).expanduser()
    except RuntimeError:  # no such user
        path = Path(name)
    return tuple(dict.fromkeys(folder / path for folder in folders or (Path(),)))


def find_path(name: str, folders: Sequence[Path], *, folder: bool = False) -> Path | None:
    """Return the first place where a path, or a folder, exists; None: nowhere."""
    # Unlike Path's methods, these return False for a name that is too long.
    is_there = os.path.isdir if folder else os.path.exists
    return next((place for place in places_of(name, folders) if is_there(place)), None)


def missing_message(name: str, folders: Sequence[Path], noun: str = "file") -> str:
    """Return the message that a path is in none of the folders."""
    places = places_of(name, folders)
    if len(places) == 1:
        shown = str(places[0])
        return f"no such {noun}" if shown == name else f"no such {noun}: {shown}"
    shown = " or ".join(str(folder) for folder in dict.fromkeys(folders))
    return (
        f"no such {noun} in {shown}; put it beside the study, or name its folder with "
        "--data-dir or TUNER_DATA_DIR"
    )


def likely_cause(name: str, folders: Sequence[Path]) -> str:
    """Return why a file is probably not found, and what to do; "": no reason is known."""
    if "://" in name:
        return "addresses are not downloaded: download the file, and name it"
    if any(sign in name for sign in "*?["):
        return "patterns are not expanded: name one file"
    places = places_of(name, folders)
    for place in places:
        if os.path.islink(place):
            return f"a link to {place.readlink()}, which does not exist"
    asked = Path(name).name.casefold()
    parents = dict.fromkeys(place.parent for place in places)
    beside = {
        entry.name.casefold(): entry.name
        for folder in parents
        if os.path.isdir(folder) and os.access(folder, os.R_OK)
        for entry in os.scandir(folder)
        if os.path.isfile(entry)  # unlike the entry's own method, it tolerates circular links
    }
    starts = [each for each in beside if each.startswith(f"{asked}.")]
    close = starts or difflib.get_close_matches(asked, beside, n=1, cutoff=0.81)
    return f"did you mean {Path(name).parent / beside[close[0]]}?" if close else ""
