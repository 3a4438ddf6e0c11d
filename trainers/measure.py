"""Measure a run: seconds and peak memory by phase, and the facts of its environment."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets", "scikit-learn", "numpy")


class Meter:
    """A stopwatch and a high-water mark for each phase of a run: load, train, eval.

    A phase may be entered again and again: its seconds add up and its peak is the largest.
    Peaks are the process's resident memory (VmHWM, reset at each switch), and on a CUDA device
    the caching allocator's allocated and reserved bytes.
    """

    def __init__(self, phase: str) -> None:
        self.seconds: dict[str, float] = {}
        self.memory: dict[str, int] = {}
        self.phase = phase
        """The phase that the run is in."""
        self._started = time.perf_counter()
        _reset_peaks()

    def switch(self, phase: str) -> None:
        """Close the current phase and enter another."""
        now = time.perf_counter()
        self.seconds[self.phase] = self.seconds.get(self.phase, 0.0) + now - self._started
        for name, value in _peaks().items():
            key = f"{self.phase}/{name}"
            self.memory[key] = max(self.memory.get(key, 0), value)
        _reset_peaks()
        self.phase, self._started = phase, now


def environment() -> dict[str, str]:
    """Return versions, source revision and hardware, by name."""
    import torch

    facts = {"python": platform.python_version(), "platform": platform.platform()}
    facts |= {name: importlib.metadata.version(name) for name in _PACKAGES}
    facts |= _revision(Path(__file__).parent)
    facts |= {"host": platform.node(), "cpu": _cpu_name(), "cpu_count": str(os.cpu_count())}
    facts["threads"] = str(torch.get_num_threads())
    if torch.cuda.is_available():
        facts |= {"device": "cuda", "gpu": torch.cuda.get_device_name()}
        facts |= {"cuda": str(torch.version.cuda), "gpu_count": str(torch.cuda.device_count())}
    else:
        facts["device"] = "cpu"
    facts["memory_source"] = "cuda_allocated" if facts["device"] == "cuda" else _source()
    return facts


def resolve_precision(wanted: str) -> str:
    """Return `wanted`, or for `auto` bf16 where the device computes it fast and fp32 elsewhere.

    On a CPU, fast means avx512_bf16 or AMX tiles; on CUDA, bf16 that is not emulated.
    """
    import torch

    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.backends.cpu.get_cpu_capability()
        flags = _cpu_flags()
        fast = "AVX512" in capabilities and bool({"avx512_bf16", "amx_bf16"} & flags)
    return "bf16" if fast else "fp32"


def _peaks() -> dict[str, int]:
    import torch

    resident = _resident_peak()
    if not torch.cuda.is_available():
        return {"peak_bytes": resident}
    allocated = torch.cuda.max_memory_allocated()
    return {
        "peak_bytes": allocated,
        "resident_bytes": resident,
        "cuda_allocated_bytes": allocated,
        "cuda_reserved_bytes": torch.cuda.max_memory_reserved(),
    }


def _reset_peaks() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    if _resettable():
        _CLEAR_REFS.write_text("5")


def _resettable() -> bool:
    return os.access(_CLEAR_REFS, os.W_OK)


def _source() -> str:
    return "vmhwm" if _resettable() else "ru_maxrss of the whole process, phases not apart"


def _resident_peak() -> int:
    if _resettable():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _cpu_name() -> str:
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def _cpu_flags() -> set[str]:
    return set(_cpuinfo().get("flags", "").split())


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    first = path.read_text().split("\n\n")[0] if path.exists() else ""
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _revision(folder: Path) -> dict[str, str]:
    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *words], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return {}
    dirty = git("status", "--porcelain", "--untracked-files=no")
    return {"git_commit": commit, "git_dirty": str(bool(dirty)).lower()}
