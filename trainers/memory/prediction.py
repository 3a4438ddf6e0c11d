"""What a prediction says: bytes by category and by phase, for one rank."""

from __future__ import annotations

from pydantic import Field

from trainers.plugins import Frozen

CATEGORIES = (
    "parameters",
    "gradients",
    "optimizer",
    "activations",
    "temporaries",
    "buffers",
)
_INTERPRETER_BYTES = 400_000_000
"""What a run's process has of its own before it has a model, without the pages of libraries: the
interpreter with torch, transformers, peft and datasets. `memory/predicted/framework_bytes` of a
run of `tiny-bert` on `toy` under the process executor was 401 MB."""

_CUDA_BYTES = 600_000_000
"""A CUDA context with torch's kernels, and cuBLAS's workspace. It depends on driver and card and
was not measured here: take it for its order of magnitude."""


class Categories(Frozen):
    """Bytes by what they are held for."""

    parameters: int = Field(default=0, ge=0)
    """Weights, frozen ones included."""
    gradients: int = Field(default=0, ge=0)
    """One for each trained weight."""
    optimizer: int = Field(default=0, ge=0)
    """Moments, and master weights where there are."""
    activations: int = Field(default=0, ge=0)
    """Inputs, and what the forward pass keeps for the backward pass."""
    temporaries: int = Field(default=0, ge=0)
    """What lives for moments: results on their way, gradients of activations."""
    buffers: int = Field(default=0, ge=0)
    """Tensors of the model that are no weights."""

    def total(self) -> int:
        """Return the sum."""
        return sum(getattr(self, name) for name in CATEGORIES)


class MemoryPeaks(Frozen):
    """What one rank of a run will need, in bytes."""

    categories: Categories
    """At the fullest moment of training; their sum is `train_peak_bytes`."""
    load_peak_bytes: int
    """When the model has been built: weights and buffers."""
    train_peak_bytes: int
    """At the fullest moment of an optimizer step on the longest batch."""
    eval_peak_bytes: int
    """At the fullest moment of an evaluation; the optimizer's state stays."""
    framework_bytes: int
    """What the process or the device holds before the first tensor; not in the peaks above."""
    trainable_parameters: int
    """Scalars that receive a gradient, of the whole model."""

    @property
    def peak_bytes(self) -> int:
        """Return the largest of the three peaks."""
        return max(self.load_peak_bytes, self.train_peak_bytes, self.eval_peak_bytes)


def framework_bytes(*, cuda: bool) -> int:
    """Return the framework's own constant for a run."""
    return _CUDA_BYTES if cuda else _INTERPRETER_BYTES
