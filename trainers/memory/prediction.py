"""A prediction: bytes by category and by phase, for one rank."""

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
"""Memory of a run's process before it has a model, without the pages of libraries: the
interpreter with torch, transformers, peft and datasets. `memory/predicted/framework_bytes` of a
run of `tiny-bert` on `toy` under the process executor was 401 MB."""

_CUDA_BYTES = 600_000_000
"""A CUDA context with torch's kernels, and cuBLAS's workspace. It depends on driver and card and
was not measured here: take it as an order of magnitude."""


class Categories(Frozen):
    """Bytes by purpose."""

    parameters: int = Field(default=0, ge=0)
    """Weights, frozen ones included."""
    gradients: int = Field(default=0, ge=0)
    """A number for each trained weight."""
    optimizer: int = Field(default=0, ge=0)
    """Moments, and master weights where there are any."""
    activations: int = Field(default=0, ge=0)
    """Inputs, and tensors that the forward pass keeps for the backward pass."""
    temporaries: int = Field(default=0, ge=0)
    """Short-lived tensors: intermediate results, gradients of activations."""
    buffers: int = Field(default=0, ge=0)
    """Tensors of the model other than weights."""

    def total(self) -> int:
        """Return the sum."""
        return sum(getattr(self, name) for name in CATEGORIES)


class MemoryPeaks(Frozen):
    """Predicted peaks of one rank of a run, in bytes."""

    categories: Categories
    """At the peak of training; their sum is `train_peak_bytes`."""
    load_peak_bytes: int
    """When the model has been built: weights and buffers."""
    train_peak_bytes: int
    """At the peak of an optimizer step on the longest batch."""
    eval_peak_bytes: int
    """At the peak of an evaluation; the optimizer's state stays."""
    framework_bytes: int
    """Memory of the process or the device before the first tensor; not in the peaks above."""
    trainable_parameters: int
    """Scalars of the whole model that receive a gradient."""

    @property
    def peak_bytes(self) -> int:
        """Return the largest of the three peaks."""
        return max(self.load_peak_bytes, self.train_peak_bytes, self.eval_peak_bytes)


def framework_bytes(*, cuda: bool) -> int:
    """Return the framework's bytes of a run, a constant."""
    return _CUDA_BYTES if cuda else _INTERPRETER_BYTES
