"""Measure the free memory, of a CUDA device or else of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class _Files:
    """File names of a version of cgroups: a group's limit, its use, and its use by kind."""

    folder: str
    limit: str
    used: str
    cache: str


_VERSION_2 = _Files(".", "memory.max", "memory.current", "inactive_file")
_VERSION_1 = _Files(
    "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
)


_SHARE_OF_COPY = 0.25
"""Largest share of the available memory for a copy of the best epoch's weights."""


def free_bytes() -> int:
    """Return the free memory of the CUDA device; without one that of the machine."""
    import torch

    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else available_bytes()


def available_bytes(system: Path = Path("/")) -> int:
    """Return the available memory of the machine, or of the process's control group if less.

    Args:
        system: Root of the file system with `proc` and `sys`.
    """
    import psutil

    return min([int(psutil.virtual_memory().available), *_left_in_groups(system)])


def holds_in_memory(size: int) -> bool:
    """Return whether a copy of the best epoch's weights is kept in memory, or else in a file.

    Args:
        size: Bytes of the copy.
    """
    return size <= _SHARE_OF_COPY * available_bytes()


def _left_in_groups(system: Path) -> Iterator[int]:
    """Yield the bytes left to this process's group, which a container shows as the root."""
    listed = system / "proc/self/cgroup"
    for line in listed.read_text().splitlines() if listed.is_file() else ():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        files = _VERSION_1 if controllers else _VERSION_2
        root = system / "sys/fs/cgroup" / files.folder
        for folder in (root / path.lstrip("/"), root):
            if (folder / files.limit).is_file():
                yield from _left(folder, files)
                break


def _left(folder: Path, files: _Files) -> Iterator[int]:
    limit = (folder / files.limit).read_text().strip()
    if not limit.isdigit():  # "max": no limit
        return
    used = int((folder / files.used).read_text())
    kinds = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    # Pages of files are released when memory is needed.
    yield max(0, int(limit) - used + int(kinds.get(files.cache, 0)))
