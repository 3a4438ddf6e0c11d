"""Read the peak memory of this process and its device, from every source."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainers.contract import Workspace

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
_BLOCK_BYTES = 2**15
"""Smaller blocks stay in the heap: a few MB of a training, but not its batches."""


class PeakSource:
    """A source of the peaks of one kind of memory."""

    def take(self) -> dict[str, int]:
        """Return the peaks in bytes since the last call, by name."""
        raise NotImplementedError

    def tick(self) -> None:
        """Note that a batch is done: a growing record is read here."""

    def hold(self, held_bytes: int) -> None:
        """Start the count at the model's bytes; nothing else is in memory now."""

    def close(self) -> None:
        """Stop recording."""


class ResidentMemory(PeakSource):
    """The process's resident memory: VmHWM, which Linux lets a process reset."""

    def __init__(self, name: str) -> None:
        self._name = name
        _reset_resident_peak()

    def take(self) -> dict[str, int]:
        """Read VmHWM, have malloc return what is free, and reset VmHWM.

        Else the next phase's peak would include memory that malloc kept of this one.
        """
        peak = _resident_peak()
        _trim()
        _reset_resident_peak()
        return {self._name: peak}


class CudaMemory(PeakSource):
    """CUDA memory: allocated and reserved by torch's allocator, and as NVML sees it.

    At the end of a phase the allocator returns its reserve, which would otherwise
    count as the next phase's. Within a phase it returns nothing, so that NVML's figure, which has
    no peak, is largest at the phase's end.
    """

    def __init__(self) -> None:
        import torch

        torch.cuda.reset_peak_memory_stats()

    def take(self) -> dict[str, int]:
        """Read the peaks, empty the reserve, reset the peaks."""
        import torch

        allocated = torch.cuda.max_memory_allocated()
        peaks = {
            "peak_bytes": allocated,
            "cuda_allocated_bytes": allocated,
            "cuda_reserved_bytes": torch.cuda.max_memory_reserved(),
        }
        seen = nvml_bytes(os.getpid())
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return peaks if seen is None else peaks | {"nvml_bytes": seen}


def nvml_bytes(pid: int) -> int | None:
    """Return a process's memory on all NVIDIA devices, its CUDA context included.

    None where NVML is missing, or does not show the process: in a container it lists processes
    by the host's numbers.
    """
    import pynvml

    with contextlib.suppress(pynvml.NVMLError), _nvml(pynvml):
        devices = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        used = [
            process.usedGpuMemory
            for device in devices
            for process in pynvml.nvmlDeviceGetComputeRunningProcesses(device)
            if process.pid == pid and process.usedGpuMemory is not None
        ]
        return sum(used) if used else None
    return None


def return_freed_memory() -> None:
    """Have glibc's malloc return a freed tensor's memory to the system at once.

    By default, malloc keeps larger blocks for later after each free, up to 32 MiB; between
    blocks that live longer, much of that is never used again. Both thresholds, once set, stay.
    And threads get no heaps of their own, each of which takes 64 MiB of addresses.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_ARENA_MAX, 1)
    for parameter in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
        mallopt(parameter, _BLOCK_BYTES)


def spare_memory(workspace: Workspace) -> None:
    """Have malloc return freed memory at once, for a frugal run on a CPU.

    transformers then loads a model without threads of its own: glibc keeps the 8 MiB of addresses
    of each one's stack for later threads.
    """
    import torch

    if workspace.frugal and not torch.cuda.is_available():
        return_freed_memory()
        os.environ["HF_DEACTIVATE_ASYNC_LOAD"] = "1"


def resident_bytes() -> int:
    """Return the process's resident memory at this moment."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def private_bytes() -> int:
    """Return the resident memory that is the process's own at this moment.

    On Linux without the pages of files, mostly libraries: the kernel drops them when needed.
    """
    return _status_bytes("RssAnon") or resident_bytes()


def resettable() -> bool:
    """Return whether the peak of resident memory can be reset, as on Linux."""
    return os.access(_CLEAR_REFS, os.W_OK)


def across_ranks(memories: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Merge the memory figures of a run's ranks.

    Args:
        memories: `RunResult.memory` of each rank, in the order of ranks.

    Returns:
        The largest of each figure under its own name, such as `train/peak_bytes`; with several
        ranks each rank's beside it, such as `rank1/train/peak_bytes`.
    """
    names = sorted({name for memory in memories for name in memory})
    merged = {name: max(m[name] for m in memories if name in m) for name in names}
    if len(memories) == 1:
        return merged
    ranks = enumerate(memories)
    return merged | {f"rank{n}/{name}": value for n, m in ranks for name, value in m.items()}


@contextlib.contextmanager
def _nvml(pynvml: Any) -> Iterator[None]:
    pynvml.nvmlInit()
    try:
        yield
    finally:
        pynvml.nvmlShutdown()


def _trim() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's own
    if trim is not None:
        trim(0)


def _reset_resident_peak() -> None:
    if resettable():
        _CLEAR_REFS.write_text("5")


def _resident_peak() -> int:
    if resettable():
        return _status_bytes("VmHWM")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _status_bytes(name: str) -> int:
    """Return a figure of this process from Linux; 0 where it is missing."""
    for line in _STATUS.read_text().splitlines() if _STATUS.is_file() else ():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
