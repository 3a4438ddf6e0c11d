"""Recognise errors of a full disk, and turn them into one line with its folder."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from trainers.errors import TunerError

_FULL, _READ_ONLY = "no space left", "read-only file system"
_BY_NUMBER = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: f"{_FULL} (disk quota exceeded)",
    errno.EFBIG: f"{_FULL} (file too large for the limit of its size)",
    errno.EROFS: _READ_ONLY,
}
_SIGNS = {
    "disk quota exceeded": errno.EDQUOT,
    "file too large": errno.EFBIG,
    _FULL: errno.ENOSPC,
    "database or disk is full": errno.ENOSPC,
    "os error 28": errno.ENOSPC,
    _READ_ONLY: errno.EROFS,
    "attempt to write a readonly database": errno.EROFS,
}
"""Messages of other libraries and processes, whose errors have no number here."""
_SQLITE = {
    13: errno.ENOSPC,  # SQLITE_FULL
    778: errno.ENOSPC,  # SQLITE_IOERR_WRITE: a quota, among others
    4874: errno.ENOSPC,  # SQLITE_IOERR_SHMSIZE
    8: errno.EROFS,  # SQLITE_READONLY
}
_BYTES_OF_A_FULL_DISK = 1 << 20


class DiskFull(TunerError):
    """A disk is full; nothing on it is damaged, and the same command continues the study."""

    exit_code = 1


def missing_space(error: BaseException) -> str | None:
    """Return in a few words why a disk cannot be written to; None for another error."""
    number = _number(error)
    return None if number is None else _BY_NUMBER[number]


@contextlib.contextmanager
def full_disk_named(*folders: Path) -> Iterator[None]:
    """Turn any error of a full disk into one line with its folder.

    Args:
        folders: Folders that the command writes to, the likeliest first.

    Raises:
        DiskFull: A disk is full.
    """
    try:
        yield
    except DiskFull:
        raise
    except Exception as error:
        number = _number(error)
        if number is None or (number == errno.EROFS and isinstance(error, TunerError)):
            raise
        place = _place(error, [*folders, Path(tempfile.gettempdir())])
        if number == errno.EROFS:
            said = f"{place}: {_READ_ONLY}; nothing can be written there"
        else:
            said = f"{_BY_NUMBER[number]} in {place}; make room and start it again"
        raise DiskFull(said) from error


def is_full(folder: Path) -> bool:
    """Return whether a folder, existing or not, is on a disk that is nearly full."""
    return _free(folder) < _BYTES_OF_A_FULL_DISK


def _number(error: BaseException) -> int | None:
    """Return the system's number of an error, from itself or its causes."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in _BY_NUMBER:
            return cause.errno
        code = getattr(cause, "sqlite_errorcode", None)
        found = _SQLITE.get(code, _SQLITE.get(code & 0xFF)) if code is not None else None
        if found is not None:
            return found
        text = str(cause).lower()
        for sign, number in _SIGNS.items():
            if sign in text:
                return number
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _place(error: BaseException, folders: list[Path]) -> Path:
    """Return the folder of an error: that of the file it names, else a full one."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.filename is not None:
            file = Path(os.fsdecode(cause.filename)).absolute()
            above = (one for one in folders if file.is_relative_to(one.resolve()))
            return next(above, file.parent)
    full = (folder for folder in folders if is_full(folder))
    return next(full, folders[0])


def _free(folder: Path) -> int:
    """Return the free bytes on the disk of a folder, existing or not."""
    for place in (folder.absolute(), *folder.absolute().parents):
        with contextlib.suppress(OSError):
            stand = os.statvfs(place)
            return stand.f_bavail * stand.f_frsize
    return _BYTES_OF_A_FULL_DISK
