"""Tiny models behave like pretrained ones: one body, a head of the run's seed."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from trainers.interfaces import ModelSource
from trainers.models.tiny import Tiny
from trainers.plugins import resolve

LABELS = ("no", "yes")
ARCHITECTURES = ("bert", "roberta", "llama")


def _weights(source: Tiny, seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return dict(source.model(LABELS, "sdpa").named_parameters())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_body_is_fixed_and_the_head_follows_the_seed(architecture: Any) -> None:
    """Two run seeds share every body weight and no random head weight."""
    source = Tiny(architecture=architecture)
    prefix = f"{source.model(LABELS, 'sdpa').base_model_prefix}."
    one, same, two = (_weights(source, seed) for seed in (1, 1, 2))
    for name, weight in one.items():
        assert torch.equal(weight, same[name])
        if name.startswith(prefix):
            assert torch.equal(weight, two[name])
        elif weight.dim() > 1:
            assert not torch.equal(weight, two[name])
    other = _weights(Tiny(architecture=architecture, weights_seed=1), 1)
    word = next(name for name in one if name.startswith(prefix) and "embed" in name)
    assert not torch.equal(one[word], other[word])


def test_the_body_leaves_the_callers_generator_where_it_was() -> None:
    """What is drawn next depends on the run's seed alone."""
    drawn = []
    for weights_seed in (0, 1):
        torch.manual_seed(3)
        Tiny(weights_seed=weights_seed).model(LABELS, "sdpa")
        drawn.append(torch.rand(4))
    assert torch.equal(*drawn)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_any_text_is_tokenized(architecture: Any) -> None:
    """Unknown words fall into characters, other scripts into the unknown token."""
    tokenizer = Tiny(architecture=architecture).tokenizer()
    assert "##y" in tokenizer.tokenize("xyzzy, good!")
    assert "good" in tokenizer.tokenize("xyzzy, good!")
    assert tokenizer.unk_token in tokenizer.tokenize("日本")
    assert len(tokenizer("", "")["input_ids"]) >= 1
    assert len(tokenizer("a " * 900, truncation=True)["input_ids"]) == 512
    assert tokenizer.pad_token_id is not None
    assert tokenizer.padding_side == "right"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_longest_pair_passes_the_model(architecture: Any) -> None:
    """512 tokens of a pair of texts, with the segment ids the architecture wants."""
    source = Tiny(architecture=architecture)
    model = source.model(LABELS, "eager")
    batch = source.tokenizer()(
        ["a " * 400, "b"], ["c " * 400, "d"], truncation=True, padding=True, return_tensors="pt"
    )
    assert batch["input_ids"].shape == (2, 512)
    assert ("token_type_ids" in batch) == (architecture == "bert")
    with torch.no_grad():
        assert model(**batch).logits.shape == (2, 2)
    assert model.config._attn_implementation == "eager"
    assert model.config.label2id == {"no": 0, "yes": 1}
    assert model.dtype == torch.float32


def test_it_can_be_built_without_memory() -> None:
    """The memory probe builds it on the meta device."""
    with torch.device("meta"):
        model = Tiny().model(LABELS, "sdpa")
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_architecture_has_a_short_name(architecture: str) -> None:
    """A study may write `tiny-bert`, and tables call it so."""
    source = resolve(ModelSource, "trainers.models", f"tiny-{architecture}")  # type: ignore[type-abstract]
    assert isinstance(source, Tiny)
    assert (source.name, source.architecture) == (f"tiny-{architecture}", architecture)
