"""Write a SQLite file without waiting for the disk, where the disk is this machine's own."""

from __future__ import annotations

import functools
import sqlite3
from pathlib import Path
from typing import Any

import psutil

_OWN_DISKS = frozenset(
    {"apfs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "hfs", "overlay", "tmpfs"}
    | {"ufs", "xfs", "zfs"}
)
"""File systems of one machine. On those of several SQLite's write-ahead log is not safe."""


class QuickConnection(sqlite3.Connection):
    """A connection to a file with a write-ahead log, whose commits do not wait for the disk.

    By default a commit waits for the disk three times, up to 20 ms each. A process that dies loses
    nothing here either; a machine that loses power may lose the last commits, but no others,
    as it may lose a run's files.
    """

    def __init__(self, database: str, *args: Any, **options: Any) -> None:
        super().__init__(database, *args, **options)
        if is_own_disk(Path(database).resolve().parent):
            self.execute("PRAGMA journal_mode = WAL").close()
            self.execute("PRAGMA synchronous = NORMAL").close()


@functools.cache
def is_own_disk(folder: Path) -> bool:
    """Return whether a folder is for sure on a disk that no other machine writes to."""
    mounts = {disk.mountpoint: disk.fstype for disk in psutil.disk_partitions(all=True)}
    places = (mounts.get(str(place)) for place in (folder, *folder.parents))
    return next((kind for kind in places if kind), "").lower() in _OWN_DISKS
