"""Find and replace the files of a run: where its folder is, and where downloads are kept."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


def local_folder(artifact_uri: str) -> Path | None:
    """Return the folder that an artifact URI names; None where it is not of this machine."""
    parts = urlsplit(artifact_uri)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    # A path without a scheme; one letter is a drive.
    return Path(artifact_uri) if len(parts.scheme) < 2 else None


def replace_files(source: Path, target: Path) -> None:
    """Make the files below one folder those of another; a file that stays is never missing."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, target, dirs_exist_ok=True)
    # Deepest first, so that folders are empty when their turn comes.
    for path in sorted(target.rglob("*"), reverse=True):
        if not (source / path.relative_to(target)).exists():
            path.rmdir() if path.is_dir() else path.unlink()


class Downloads:
    """A temporary folder for the files of runs, made on first use and gone with its owner."""

    def __init__(self) -> None:
        self._root: Path | None = None

    def folder(self, run_id: str) -> Path:
        """Return the folder of one run."""
        if self._root is None:
            self._root = Path(tempfile.mkdtemp(prefix="tuner-"))
            weakref.finalize(self, shutil.rmtree, self._root, ignore_errors=True)
        folder = self._root / run_id
        folder.mkdir(exist_ok=True)
        return folder
