"""Linear probing: train the classification head on a frozen body."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from trainers.interfaces import Method
from trainers.methods._head import freeze_body
from trainers.methods._tensors import load_trained, save_trained

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

_FILE = "head.safetensors"


class Head(Method):
    """Train the head alone.

    The head is whatever the architecture puts on its body: one linear layer on BERT and Llama,
    two with a tanh between them on RoBERTa.
    """

    kind: Literal["head"] = "head"
    """File name of the plug-in."""

    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Freeze the body."""
        freeze_body(model)
        return model

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the head."""
        save_trained(model, folder / _FILE)

    def load(self, model: nn.Module, folder: Path) -> None:
        """Read the head."""
        load_trained(model, folder / _FILE)
