"""Measure a run: seconds and peak memory by phase, and the facts of its environment."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from trainers.measure.allocator import AllocatorRecord
from trainers.measure.peaks import (
    CudaMemory,
    PeakSource,
    ResidentMemory,
    resettable,
    resident_bytes,
)

if TYPE_CHECKING:
    from torch import nn

_PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets", "scikit-learn", "numpy")


class Meter:
    """A stopwatch and a high-water mark for each phase of a run: load, train, eval.

    A phase may be entered several times: its seconds add up and its peak is the largest.
    `memory` has the peaks by phase and source, such as `train/peak_bytes`, and `baseline_bytes`,
    the process's resident memory before it had a model.

    Args:
        phase: The first phase.
        measure: `allocator` adds the CPU allocator's own record, which slows a run down.
    """

    def __init__(self, phase: str, measure: str = "process") -> None:
        self.seconds: dict[str, float] = {}
        self.memory: dict[str, int] = {}
        self.phase = phase
        """The current phase of the run."""
        self._sources = _sources(measure)
        self._started = time.perf_counter()

    def switch(self, phase: str) -> None:
        """Close the current phase and enter another."""
        spent = time.perf_counter() - self._started
        self.seconds[self.phase] = self.seconds.get(self.phase, 0.0) + spent
        for source in self._sources:
            for name, value in source.take().items():
                key = f"{self.phase}/{name}"
                self.memory[key] = max(self.memory.get(key, 0), value)
        self.phase, self._started = phase, time.perf_counter()

    def tick(self) -> None:
        """Note that a batch is done."""
        for source in self._sources:
            source.tick()

    def before_model(self) -> None:
        """Note the process's memory before it has a model."""
        self.memory["baseline_bytes"] = resident_bytes()

    def model_built(self, model: nn.Module) -> None:
        """Note that the model is in memory, and nothing else of the run."""
        tensors = (*model.parameters(), *model.buffers())
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in tensors}
        held_bytes = sum(storage.nbytes() for storage in storages.values())
        for source in self._sources:
            source.hold(held_bytes)

    def close(self) -> None:
        """Stop recording."""
        for source in self._sources:
            source.close()


def _sources(measure: str) -> list[PeakSource]:
    import torch

    if torch.cuda.is_available():
        return [ResidentMemory("resident_bytes"), CudaMemory()]
    sources: list[PeakSource] = [ResidentMemory("peak_bytes")]
    return [*sources, AllocatorRecord()] if measure == "allocator" else sources


def environment() -> dict[str, str]:
    """Return versions, source revision and hardware, by name."""
    import torch

    facts = {"python": platform.python_version(), "platform": platform.platform()}
    facts |= {name: importlib.metadata.version(name) for name in _PACKAGES}
    facts |= revision()
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


def _source() -> str:
    return "vmhwm" if resettable() else "ru_maxrss of the whole process, phases not apart"


def _cpu_name() -> str:
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def _cpu_flags() -> set[str]:
    return set(_cpuinfo().get("flags", "").split())


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    first = path.read_text().split("\n\n")[0] if path.exists() else ""
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def revision() -> dict[str, str]:
    """Return the Git commit of this code and whether it was changed since; empty outside Git."""
    folder = Path(__file__).parent

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
