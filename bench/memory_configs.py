"""Configs of the models whose memory others measured on GPUs; no weights are needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_ENCODER = {"num_hidden_layers": 12, "num_attention_heads": 12, "hidden_size": 768}
CONFIGS: dict[str, dict[str, Any]] = {
    "roberta-base": {
        "model_type": "roberta",
        **_ENCODER,
        "intermediate_size": 3072,
        "vocab_size": 50265,
        "max_position_embeddings": 514,
        "type_vocab_size": 1,
        "pad_token_id": 1,
    },
    "roberta-large": {
        "model_type": "roberta",
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "vocab_size": 50265,
        "max_position_embeddings": 514,
        "type_vocab_size": 1,
        "pad_token_id": 1,
    },
    "t0-3b": {
        "model_type": "t5",
        "d_model": 2048,
        "d_kv": 64,
        "d_ff": 5120,
        "num_layers": 24,
        "num_heads": 32,
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
        "vocab_size": 32128,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "decoder_start_token_id": 0,
    },
}
"""By name."""


def save_config(folder: Path, tree: dict[str, Any]) -> Path:
    """Write a config, all that a prediction needs of a model."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(tree))
    return folder
