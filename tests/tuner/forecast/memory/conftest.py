"""A model's config on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write the config of a small model, as a user would have it on disk."""
    tree = {"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 2}
    tree |= {"num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 100}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(tree))
    return path
