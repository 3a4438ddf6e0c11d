"""Linear probing: train the classification head on a frozen body."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from trainers.interfaces import Method
from trainers.methods._parameters import freeze_body, load_tensors, save_tensors

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

_FILE = "head.safetensors"


class Head(Method):
    """Train the head alone.

    The head is the architecture's own: one linear layer on BERT and Llama,
    two with a tanh between them on RoBERTa.
    """

    SPACE: ClassVar = {
        # A linear probe has no weight that a high rate could spoil: Kumar et al. 2022 search it
        # widely.
        "train.learning_rate": {"float": [1e-3, 1e-1], "log": True},
    }

    kind: Literal["head"] = "head"
    """File name of the plug-in."""

    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Freeze the body."""
        freeze_body(model)
        return model

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the head."""
        save_tensors(model, folder / _FILE)

    def load(self, model: nn.Module, folder: Path) -> None:
        """Read the head."""
        load_tensors(model, folder / _FILE)
