"""Find a task's files, and download them: checked, atomic, safe to interrupt."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from trainers.errors import DataError, MissingData
from trainers.interfaces import SourceFile
from trainers.proxies import proxy_note

OnProgress = Callable[[int, int | None], None]
"""Called with the bytes received so far and the bytes expected, None where unknown."""

_CHUNK_BYTES = 1 << 16
_TIMEOUT_SECONDS = 60


def locate(source: SourceFile, data_dir: Path) -> Path:
    """Return the path of a file under the data folder.

    Raises:
        DataError: The file is missing, or its checksum is wrong.
    """
    path = data_dir / source.path
    task = source.path.partition("/")[0]
    if not path.is_file():
        raise MissingData(
            f"{path}: no such file; download it with `tuner fetch-data {task}`, or name the "
            "folder that has it with --data-dir or TUNER_DATA_DIR"
        )
    got = _sha256(path)
    if got != source.sha256:
        raise DataError(
            f"{path}: SHA-256 {got}, expected {source.sha256}; "
            f"delete it and run `tuner fetch-data {task}`"
        )
    return path


def fetch(source: SourceFile, data_dir: Path, *, progress: OnProgress) -> Path:
    """Download a file unless it is there and correct; the path never has a part of it.

    Each download writes a temporary file of its own, so an interrupted one starts over and two
    at once do not collide.

    Args:
        source: The file.
        data_dir: The data folder.
        progress: Called after every chunk.

    Raises:
        DataError: No answer, an error status, a body cut short, a wrong checksum or no space.
    """
    path = data_dir / source.path
    if path.is_file() and _sha256(path) == source.sha256:
        return path
    with _no_empty_folder(path):
        return _fetch_into(path, source, progress)


@contextlib.contextmanager
def _no_empty_folder(path: Path) -> Iterator[None]:
    """Remove the empty folder of a file that was not downloaded."""
    missing = [folder for folder in path.parents if not folder.exists()]
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # not made, or with a file of another download
            for folder in missing:
                folder.rmdir()
        raise


def _fetch_into(path: Path, source: SourceFile, progress: OnProgress) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise DataError(f"{path}: cannot write: {error.strerror}") from None
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            _download(source, file, progress)
        # mkstemp makes files private; a data folder may be shared.
        part.chmod(0o644)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _download(source: SourceFile, file: IO[bytes], progress: OnProgress) -> None:
    try:
        with urllib.request.urlopen(source.url, timeout=_TIMEOUT_SECONDS) as response:
            length = response.headers.get("Content-Length")
            expected = int(length) if length is not None else None
            digest = hashlib.sha256()
            received = 0
            while chunk := response.read(_CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
                received += len(chunk)
                progress(received, expected)
    except urllib.error.HTTPError as error:
        error.close()
        status = f"HTTP status {error.code} {error.reason}"
        raise DataError(f"{source.url}: {status}{_by_proxy(source)}") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        said = f"{type(error).__name__}: {reason}{_by_proxy(source)}"
        raise DataError(f"{source.url}: {said}") from None
    if expected is not None and received < expected:
        raise DataError(f"{source.url}: cut short: got {received} of {expected} bytes; try again")
    if digest.hexdigest() != source.sha256:
        raise DataError(
            f"{source.url}: SHA-256 {digest.hexdigest()}, expected {source.sha256}; not kept"
        )


def _by_proxy(source: SourceFile) -> str:
    return proxy_note(source.url, for_all=False)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
