"""Bottleneck adapters stand where the papers put them and start as the identity."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests.contracts import apply, batch_of, build, logits_of
from trainers.errors import ConfigError
from trainers.methods import count_parameters
from trainers.methods.bottleneck import Bottleneck
from trainers.models.tiny import Tiny

VARIANTS = ("houlsby", "pfeiffer", "parallel")


@pytest.mark.parametrize("architecture", ["bert", "roberta", "llama"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_at_first_the_model_computes_what_it_did(variant: Any, architecture: Any) -> None:
    """With the up projection at zero every adapter adds exactly nothing."""
    source = Tiny(architecture=architecture)
    torch.manual_seed(1)
    model = build(source)
    before = logits_of(model, batch_of(source))
    adapted = Bottleneck(variant=variant).apply(model)
    assert torch.equal(logits_of(adapted, batch_of(source)), before)


@pytest.mark.parametrize(
    ("variant", "per_layer"), [("houlsby", 2), ("pfeiffer", 1), ("parallel", 1)]
)
def test_size_follows_the_reduction_factor(variant: Any, per_layer: int) -> None:
    """Two layers, 32 wide, reduced by 4: down 32x8+8, up 8x32+32 for each adapter."""
    model = apply(Bottleneck(variant=variant, reduction_factor=4), Tiny())
    counts = count_parameters(model)
    assert counts.trained - counts.head == 2 * per_layer * (32 * 8 + 8 + 8 * 32 + 32)


def test_pfeiffer_follows_the_last_norm_of_a_bert_layer() -> None:
    """The layer returns h + adapter(h), h being what it returned without the adapter."""
    plain, adapted, states = _layers("pfeiffer", "bert")
    expected = plain(states)
    torch.testing.assert_close(adapted(states), expected + adapted.adapter(expected))
    assert not torch.allclose(adapted(states), expected)


def test_houlsby_adapts_both_sublayers_before_their_residual_sums() -> None:
    """A BERT layer is recomputed by hand with an adapter after each output projection."""
    _, layer, states = _layers("houlsby", "bert")
    inner = layer.attention.self(states)[0]
    projected = layer.attention.output.dense(inner)
    middle = layer.attention.output.LayerNorm(
        projected + layer.adapter_attention(projected) + states
    )
    out = layer.output.dense(layer.intermediate(middle))
    expected = layer.output.LayerNorm(out + layer.adapter_feed_forward(out) + middle)
    torch.testing.assert_close(layer(states), expected)


def test_parallel_reads_the_input_of_the_feed_forward_network() -> None:
    """A BERT layer is recomputed by hand with the scaled adapter beside the network."""
    _, layer, states = _layers("parallel", "bert")
    middle = layer.attention(states)[0]
    out = layer.output.dense(layer.intermediate(middle))
    added = 4.0 * layer.adapter.up(torch.relu(layer.adapter.down(middle)))
    torch.testing.assert_close(layer(states), layer.output.LayerNorm(out + added + middle))


def test_in_llama_the_adapters_act_on_the_sublayers_outputs() -> None:
    """Norms come first there, so nothing stands between sublayer and residual sum."""
    for variant in VARIANTS:
        plain, layer, states = _layers(variant, "llama")
        out = plain.mlp(states)
        if variant == "houlsby":
            expected = out + layer.adapter_feed_forward(out)
            attended = plain.self_attn.o_proj(states)
            torch.testing.assert_close(
                layer.self_attn.o_proj(states), attended + layer.adapter_attention(attended)
            )
        else:
            expected = out + layer.adapter(states if variant == "parallel" else out)
        torch.testing.assert_close(layer.mlp(states), expected)


def test_dropout_acts_in_training_only() -> None:
    """Two training passes differ under dropout, two evaluations do not."""
    _, layer, states = _layers("pfeiffer", "bert", dropout=0.5)
    adapter = layer.adapter
    assert torch.equal(adapter(states), adapter(states))
    adapter.train()
    assert not torch.equal(adapter(states), adapter(states))


def test_scaling_is_four_in_parallel_unless_given() -> None:
    """He et al. scale the parallel adapter by 4; the sequential ones are not scaled."""
    assert Bottleneck().scaling == 1.0
    assert Bottleneck(variant="parallel").scaling == 4.0
    assert Bottleneck(variant="parallel", scaling=2.0).scaling == 2.0
    with pytest.raises(ValidationError, match="scaling"):
        Bottleneck(scaling=0.0)


def test_distilbert_is_adapted_too() -> None:
    """Its layers are named otherwise; all variants find their places and start as nothing."""
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=64, vocab_size=50)
    ids = torch.arange(8).reshape(2, 4)
    for variant in VARIANTS:
        model: Any = DistilBertForSequenceClassification(config).eval()
        before = model(input_ids=ids).logits
        adapted = Bottleneck(variant=variant).apply(model)
        assert torch.equal(adapted(input_ids=ids).logits, before)
        counts = count_parameters(adapted)
        # pre_classifier 32x32+32, classifier 32x2+2
        assert counts.head == 1056 + 66
        assert counts.trained > counts.head
        torch.nn.init.normal_(
            model.distilbert.transformer.layer[0].get_parameter(
                "adapter_attention.up.weight" if variant == "houlsby" else "adapter.up.weight"
            )
        )
        assert not torch.equal(adapted(input_ids=ids).logits, before)


def test_an_unknown_layer_shape_is_refused_in_one_line() -> None:
    """GPT-2's layers have other names: better an error than a model without adapters."""
    from transformers import GPT2Config, GPT2ForSequenceClassification

    model = GPT2ForSequenceClassification(
        GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=50)
    )
    with pytest.raises(ConfigError, match=r"GPT2ForSequenceClassification; allowed: ") as caught:
        Bottleneck().apply(model)
    assert "\n" not in str(caught.value)


def _layers(
    variant: str, architecture: Any, dropout: float = 0.0
) -> tuple[Any, Any, torch.Tensor]:
    """Return a first layer without adapters, one with random adapters, and states for them."""
    source = Tiny(architecture=architecture)
    method = Bottleneck.model_validate(
        {"kind": "bottleneck", "variant": variant, "dropout": dropout}
    )
    plain, adapted = build(source).eval(), apply(method, source).eval()
    for name, parameter in adapted.named_parameters():
        if ".adapter" in name:
            torch.nn.init.normal_(parameter.data)
    body = [model.base_model for model in (plain, adapted)]
    stacks = [getattr(b, "encoder", b) for b in body]
    first, second = (s.layer[0] if hasattr(s, "layer") else s.layers[0] for s in stacks)
    return first.requires_grad_(False), second.requires_grad_(False), torch.randn(2, 5, 32)
