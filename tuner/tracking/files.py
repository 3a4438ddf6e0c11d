"""Find, replace and download the files of a run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


def local_folder(artifact_uri: str) -> Path | None:
    """Return the folder of an artifact URI; None where it is not on this machine."""
    parts = urlsplit(artifact_uri)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    # A path without a scheme; one letter is a drive.
    return Path(artifact_uri) if len(parts.scheme) < 2 else None


def replace_files(source: Path, target: Path) -> None:
    """Replace a folder's files by those of another; a file in both is never missing."""
    target.mkdir(parents=True, exist_ok=True)
    # JSON is written last: if it is up to date, so is the rest, even after a crash.
    names = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file())
    for name in sorted(names, key=lambda name: name.suffix == ".json"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        partial = (target / name).with_name(f"{name.name}.{os.getpid()}.partial")
        shutil.copyfile(source / name, partial)
        partial.replace(target / name)
    # Deepest first, so that folders are empty when they are removed.
    for path in sorted(target.rglob("*"), reverse=True):
        if not (source / path.relative_to(target)).exists():
            path.rmdir() if path.is_dir() else path.unlink()


def link_files(source: Path, target: Path) -> None:
    """Hard-link the files below one folder into another; copy them where that fails."""
    for path in source.rglob("*"):
        if path.is_file():
            link = target / path.relative_to(source)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)  # of an earlier attempt, maybe incomplete
            try:
                os.link(path, link)
            except OSError:  # another file system, or one without hard links
                shutil.copyfile(path, link)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock file, so that one process of this machine at a time runs the code inside."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released with the file, however the process ends
        yield


class Downloads:
    """A temporary folder for the files of runs, made on first use, removed with its owner."""

    def __init__(self) -> None:
        self._root: Path | None = None
        self._lock = threading.Lock()

    def folder(self, run_id: str) -> Path:
        """Return the folder of one run."""
        with self._lock:
            if self._root is None:
                self._root = Path(tempfile.mkdtemp(prefix="tuner-"))
                weakref.finalize(self, shutil.rmtree, self._root, ignore_errors=True)
        folder = self._root / run_id
        folder.mkdir(exist_ok=True)
        return folder
