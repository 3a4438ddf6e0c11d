"""What is held before the first tensor: the interpreter on a CPU, the context on a GPU."""

from __future__ import annotations

_INTERPRETER_BYTES = 520_000_000
"""Resident size of a run of `tiny-bert` on `toy` under the process executor while it trains: its
tensors take 1 MB, so all of it is the interpreter with torch, transformers, peft and datasets."""


def framework_bytes() -> int:
    """Return the framework's own constant for a run on a CPU."""
    return _INTERPRETER_BYTES
