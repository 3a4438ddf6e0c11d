"""P-tuning: train a small network that makes the embeddings put before the text."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from trainers.methods._peft import PeftMethod, wrap

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class PTuning(PeftMethod):
    """Prepend embeddings that an MLP computes (Liu et al. 2021).

    Only the finished prompt is saved; its network is not needed to predict.
    """

    SPACE: ClassVar = {
        # Liu et al. 2021 train prompts through an encoder at 1e-4 and above.
        "train.learning_rate": {"float": [1e-4, 1e-2], "log": True},
        "method.virtual_tokens": {"choice": [5, 20, 50]},
    }

    kind: Literal["p_tuning"] = "p_tuning"
    """File name of the plug-in."""
    virtual_tokens: int = Field(default=20, ge=1)
    """Number of computed embeddings; each takes a position from the text."""
    encoder_hidden_size: int = Field(default=128, ge=1)
    """Width of the network's hidden layers."""

    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Freeze the body and add the prompt's network."""
        settings = {
            "num_virtual_tokens": self.virtual_tokens,
            "encoder_hidden_size": self.encoder_hidden_size,
        }
        return wrap(model, "P_TUNING", settings)
