"""What is held before the first tensor: the interpreter on a CPU, the context on a GPU."""

from __future__ import annotations

_INTERPRETER_BYTES = 400_000_000
"""What a run's process has of its own before it has a model, without the pages of libraries: the
interpreter with torch, transformers, peft and datasets. `memory/predicted/framework_bytes` of a
run of `tiny-bert` on `toy` under the process executor was 401 MB."""

_CUDA_BYTES = 600_000_000
"""A CUDA context with torch's kernels, and cuBLAS's workspace. It depends on driver and card and
was not measured here: take it for its order of magnitude."""


def framework_bytes(*, cuda: bool) -> int:
    """Return the framework's own constant for a run."""
    return _CUDA_BYTES if cuda else _INTERPRETER_BYTES
