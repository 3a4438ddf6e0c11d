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


class Batch(Frozen):
    """The shape of a micro-batch."""

    rows: int = Field(ge=1)
    """Rows."""
    length: int = Field(ge=1)
    """Tokens of each, padding included."""

    def joined(self, other: Batch) -> Batch:
        """Return the smallest that is as large as both."""
        return Batch(rows=max(self.rows, other.rows), length=max(self.length, other.length))

    def covers(self, other: Batch) -> bool:
        """Say whether it is as large as the other."""
        return self.joined(other) == self


class Rows(Frozen):
    """What is known of the batches that a run will see."""

    steps: tuple[tuple[Batch, ...], ...] = Field(min_length=1, max_length=2)
    """The micro-batches of the first optimizer step, and of one that stands for all later ones;
    of each the first, and one that stands for all others. A run of a single step never holds the
    optimizer's state beside the activations of a step."""
    eval_length: int
    """Tokens of the longest row that is scored."""

    @property
    def longest(self) -> int:
        """Return the tokens of the longest row."""
        return max(self.eval_length, *(batch.length for step in self.steps for batch in step))


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


class MemoryPrediction(Frozen):
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
