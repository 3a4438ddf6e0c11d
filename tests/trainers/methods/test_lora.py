"""LoRA adds what its fields say and writes what peft reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from tests.contracts import apply, batch_of, build, logits_of, train
from trainers.errors import ConfigError
from trainers.methods import count_parameters
from trainers.methods.ia3 import IA3
from trainers.methods.lora import LoRA
from trainers.models.tiny import Tiny


def _adapter_size(method: LoRA, architecture: Any = "bert") -> int:
    counts = count_parameters(apply(method, Tiny(architecture=architecture)))
    return counts.trained - counts.head


@pytest.mark.parametrize("rank", [1, 4])
def test_size_follows_the_rank(rank: int) -> None:
    """Query and value of two layers get A (rank x 32) and B (32 x rank)."""
    assert _adapter_size(LoRA(rank=rank)) == 2 * 2 * (rank * 32 + 32 * rank)


def test_targets_choose_the_matrices() -> None:
    """One name halves the default; all-linear takes six a layer and the pooler, not the head."""
    assert _adapter_size(LoRA(rank=2, targets=("query",))) == 2 * (2 * 32 + 32 * 2)
    attention, feed_forward = 4 * 2 * 64, 2 * 2 * (32 + 64)
    pooler = 2 * 64
    assert _adapter_size(LoRA(rank=2, targets="all-linear")) == (
        2 * (attention + feed_forward) + pooler
    )


def test_dora_adds_a_magnitude_for_each_output() -> None:
    """32 numbers for each adapted matrix beyond LoRA's own."""
    assert _adapter_size(LoRA(use_dora=True)) - _adapter_size(LoRA()) == 2 * 2 * 32


def test_alpha_scales_the_update() -> None:
    """Scale by alpha / rank, and alpha / sqrt(rank) under rank stabilisation."""
    for method, scale in (
        (LoRA(rank=4, alpha=2), 0.5),
        (LoRA(rank=4, alpha=2, use_rslora=True), 1),
    ):
        model: Any = apply(method, Tiny())
        layer = model.get_base_model().bert.encoder.layer[0].attention.self.query
        assert layer.scaling == {"default": scale}


# peft 0.21 asks transformers 5 by a name that it deprecates.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_peft_reads_what_is_saved(tmp_path: Path) -> None:
    """PeftModel.from_pretrained on a fresh base gives bit-equal logits, the head included."""
    source = Tiny()
    method = LoRA()
    model = apply(method, source)
    train(model, batch_of(source), steps=2)
    method.save(model, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    torch.manual_seed(9)
    loaded = PeftModel.from_pretrained(build(source), str(tmp_path))
    assert torch.equal(logits_of(loaded, batch_of(source)), logits_of(model, batch_of(source)))


def test_a_target_that_is_not_there_is_refused_in_one_line() -> None:
    """The message names what was asked for and what there is."""
    with pytest.raises(
        ConfigError,
        match=r"method.targets: q_proj fits no module of BertForSeq.* has query, value",
    ) as caught:
        apply(LoRA(targets=("q_proj",)), Tiny())
    assert "\n" not in str(caught.value)


def test_an_architecture_unknown_to_peft_gets_query_and_value() -> None:
    """DistilBERT is not in peft's table; both of its head's layers are trained and saved."""
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=64, vocab_size=50)
    counts = count_parameters(LoRA(rank=1).apply(DistilBertForSequenceClassification(config)))
    assert counts.trained - counts.head == 2 * 2 * (32 + 32)
    assert counts.head == 32 * 32 + 32 + 32 * 2 + 2


def test_ia3_wants_feed_forward_names_among_its_targets() -> None:
    """Otherwise peft would find out, and only when the model is built."""
    with pytest.raises(ValueError, match="must be among targets"):
        IA3(targets=("key",), feed_forward=("output.dense",))
    counts = count_parameters(apply(IA3(targets=("key",)), Tiny()))
    assert counts.trained - counts.head == 2 * 32
