"""Look how much memory there is still to be had: on a CUDA device, or else in the machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class _Files:
    """Where a version of cgroups keeps a group's limit, its use, and what the use is made of."""

    folder: str
    limit: str
    used: str
    cache: str


_VERSION_2 = _Files(".", "memory.max", "memory.current", "inactive_file")
_VERSION_1 = _Files(
    "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
)


_SHARE_OF_COPY = 0.25
"""Most of the available memory that a copy of the best epoch's weights may take."""


def free_bytes() -> int:
    """Return the free memory of the CUDA device; without one that of the machine."""
    import torch

    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else available_bytes()


def available_bytes(system: Path = Path("/")) -> int:
    """Return what the machine can still give, or the process's control group where that is less.

    Args:
        system: Root of the file system that describes them.
    """
    import psutil

    return min([int(psutil.virtual_memory().available), *_left_in_groups(system)])


def holds_in_memory(size: int) -> bool:
    """Return whether a copy of the best epoch's weights is held in memory, or else in a file.

    Args:
        size: Bytes of the copy.
    """
    return size <= _SHARE_OF_COPY * available_bytes()


def _left_in_groups(system: Path) -> Iterator[int]:
    """Yield what is left to the group of this process, which a container shows as the root."""
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
    if not limit.isdigit():  # "max": there is none
        return
    used = int((folder / files.used).read_text())
    kinds = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    # Pages of files are given back when somebody needs them.
    yield max(0, int(limit) - used + int(kinds.get(files.cache, 0)))
