"""Build a classifier from its config alone, on whatever device is torch's default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


def from_config(config: PreTrainedConfig, attention: str) -> PreTrainedModel:
    """Return the sequence classifier of the config's architecture, in float32."""
    import torch
    from transformers import AutoModelForSequenceClassification

    make: Any = AutoModelForSequenceClassification.from_config
    built: PreTrainedModel = make(config, dtype=torch.float32, attn_implementation=attention)
    return built
