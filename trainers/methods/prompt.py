"""Prompt tuning: train embeddings put before the text."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from trainers.methods._peft import PeftMethod, wrap

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class Prompt(PeftMethod):
    """Prepend trained embeddings to the input (Lester et al. 2021).

    An encoder that pools its first position pools the first virtual token, as in peft.
    """

    SPACE: ClassVar = {
        # Lester et al. 2021 take 0.3, with Adafactor; Adam's steps are larger.
        "train.learning_rate": {"float": [1e-3, 3e-1], "log": True},
        # Lester et al. 2021 try 1 to 150: more than 20 gain little.
        "method.virtual_tokens": {"choice": [5, 20, 50]},
    }

    kind: Literal["prompt"] = "prompt"
    """File name of the plug-in."""
    virtual_tokens: int = Field(default=20, ge=1)
    """Number of trained embeddings; each takes a position from the text."""
    start: Literal["sample_vocab", "random"] = "sample_vocab"
    """First values: embeddings of random words, or normal noise."""

    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Freeze the body and add the prompt."""
        settings = {
            "num_virtual_tokens": self.virtual_tokens,
            "prompt_tuning_init": self.start.upper(),
        }
        return wrap(model, "PROMPT_TUNING", settings)
