"""BitFit: train the bias terms and the head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from trainers.errors import ConfigError
from trainers.interfaces import Method
from trainers.methods._parameters import freeze_body, load_tensors, save_tensors

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

_FILE = "bitfit.safetensors"


class BitFit(Method):
    """Train every bias of the body, of layer norms too, and the head (Ben Zaken et al. 2022).

    A body without biases, as Llama's, is refused: training something else, such as norm weights,
    would not be BitFit.
    """

    SPACE: ClassVar = {
        # Ben Zaken et al. 2022 take 1e-4 to 1e-3 on BERT; narrow models more.
        "train.learning_rate": {"float": [1e-4, 2e-2], "log": True},
    }

    kind: Literal["bitfit"] = "bitfit"
    """File name of the plug-in."""

    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Freeze all but biases and head.

        Raises:
            ConfigError: The body has no bias.
        """
        biases = [
            parameter
            for name, parameter in model.base_model.named_parameters()
            if name.rpartition(".")[2] == "bias"
        ]
        if not biases:
            raise ConfigError(
                f"method.kind: bitfit trains bias terms and {model.config.model_type} has none; "
                "allowed: a model with biases, such as BERT or RoBERTa, or another method"
            )
        freeze_body(model)
        for bias in biases:
            bias.requires_grad_(True)
        return model

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write biases and head."""
        save_tensors(model, folder / _FILE)

    def load(self, model: nn.Module, folder: Path) -> None:
        """Read biases and head."""
        load_tensors(model, folder / _FILE)
