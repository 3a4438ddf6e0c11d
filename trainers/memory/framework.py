"""What is held before the first tensor: the interpreter on a CPU, the context on a GPU."""

from __future__ import annotations

_INTERPRETER_BYTES = 520_000_000
"""Resident size of a run of `tiny-bert` on `toy` under the process executor while it trains: its
tensors take 1 MB, so all of it is the interpreter with torch, transformers, peft and datasets."""

_CUDA_BYTES = 600_000_000
"""A CUDA context with torch's kernels, and cuBLAS's workspace. It depends on driver and card and
was not measured here: take it for its order of magnitude."""


def framework_bytes(*, cuda: bool) -> int:
    """Return the framework's own constant for a run."""
    return _CUDA_BYTES if cuda else _INTERPRETER_BYTES
