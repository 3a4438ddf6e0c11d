"""Build a classifier from its config alone, on torch's default device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


_SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
)
"""Sizes that most configs have under these names or as aliases."""
_UNBOUNDED = -1
"""`max_position_embeddings` of XLNet, which has no limit."""


def from_config(config: PreTrainedConfig, attention: str) -> PreTrainedModel:
    """Return the sequence classifier of the config's architecture, in float32.

    Raises:
        ValueError: A size below 1, with which some models would have no layers at all.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    for name in _SIZES:
        size = getattr(config, name, None)
        if name == "max_position_embeddings" and size == _UNBOUNDED:
            continue
        if isinstance(size, int) and size < 1:
            raise ValueError(f"{name}: got {size}; allowed: at least 1")
    make: Any = AutoModelForSequenceClassification.from_config
    built: PreTrainedModel = make(config, dtype=torch.float32, attn_implementation=attention)
    return built
