"""Full fine-tuning: train every weight."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from trainers.interfaces import Method
from trainers.methods._parameters import classifier_in, load_tensors, save_tensors

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

_FILE = "model.safetensors"


class Full(Method):
    """Train every weight of body and head."""

    SPACE: ClassVar = {
        # Devlin et al. 2019 try 2e-5 to 5e-5 on BERT, Liu et al. 2019 1e-5 to 3e-5 on RoBERTa;
        # narrow models take up to 3e-4 (Turc et al. 2019).
        "train.learning_rate": {"float": [1e-5, 5e-4], "log": True},
    }

    kind: Literal["full"] = "full"
    """File name of the plug-in."""

    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Let every weight receive gradients."""
        return model.requires_grad_(True)

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the model as `from_pretrained` reads it: weights and config."""
        save_tensors(model, folder / _FILE)
        classifier = classifier_in(model)
        config = copy.deepcopy(classifier.config)
        config.architectures = [type(classifier).__name__]  # that of the base may differ
        config.save_pretrained(folder)

    def load(self, model: nn.Module, folder: Path) -> None:
        """Read every weight back."""
        load_tensors(model, folder / _FILE)
