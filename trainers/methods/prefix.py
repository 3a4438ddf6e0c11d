"""Prefix tuning: train keys and values put before every layer's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from trainers.methods._peft import PeftMethod, wrap

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class Prefix(PeftMethod):
    """Prepend trained keys and values in every attention layer (Li and Liang 2021)."""

    SPACE: ClassVar = {
        # Liu et al. 2022 (P-tuning v2), whose prefixes in each layer these are, take 5e-3 to 2e-2.
        "train.learning_rate": {"float": [1e-3, 5e-2], "log": True},
        # Short ones do for easy classification, they find: fewer than 20.
        "method.virtual_tokens": {"choice": [5, 10, 20]},
    }

    kind: Literal["prefix"] = "prefix"
    """File name of the plug-in."""
    virtual_tokens: int = Field(default=20, ge=1)
    """Number of trained keys and values of a layer; each takes a position from the text."""

    @property
    def checkpointing(self) -> bool:
        """No: transformers would drop the prefixes."""
        return False

    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Freeze the body and add the prefixes."""
        return wrap(model, "PREFIX_TUNING", {"num_virtual_tokens": self.virtual_tokens})
