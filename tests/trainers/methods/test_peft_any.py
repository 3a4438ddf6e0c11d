"""peft's own types: what is misspelt or too long is said in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.contracts import apply, batch_of, logits_of, train
from trainers.errors import ConfigError
from trainers.methods.peft_any import PeftAny
from trainers.methods.prefix import Prefix
from trainers.methods.prompt import Prompt
from trainers.models.tiny import Tiny


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"type": "LORRA"}, r"^method\.type: no such type 'LORRA'; known: .*LOHA"),
        (
            {"type": "LOHA", "config": {"rnk": 4}},
            r"^method\.config\.rnk: no such field; known: .*\br\b",
        ),
        (
            {"type": "LOHA", "config": {"target_modules": ["nowhere"]}},
            r"^method\.config\.target_modules: nowhere fits no module of .*; it has query, value",
        ),
        (
            {"type": "TRAINABLE_TOKENS", "config": {"token_indices": [5]}},
            r"TRAINABLE_TOKENS leaves the new head frozen",
        ),
        (
            {"type": "PROMPT_TUNING", "config": {"prompt_tuning_init": "TEXT"}},
            r"^method\.config\.prompt_tuning_init: got 'TEXT', .*allowed: RANDOM, SAMPLE_VOCAB",
        ),
        (
            {"type": "ADALORA", "config": {"total_step": 9}},
            r"^method\.type: ADALORA: nothing here",
        ),
        (
            {"type": "LORA", "config": {"inference_mode": True}},
            r"^method\.config\.inference_mode: the run sets it; allowed: ",
        ),
        *[
            (
                {"type": "LORA", "config": {"init_lora_weights": start}},
                rf"^method\.config\.init_lora_weights: got '{start}', which needs rows .*pissa",
            )
            for start in ("eva", "corda", "loftq", "lora_ga", "pissa_niter_4")
        ],
        *[
            (
                {"type": kind, "config": {option: value}},
                rf"^method\.config\.{option}\S*: it changes nothing in {kind} here; allowed: ",
            )
            for kind, option, value in (
                ("LORA", "loftq_config", {"loftq_bits": 4}),
                ("LORA", "eva_config", {"rho": 3.0}),
                ("LORA", "use_qalora", True),
                ("LORA", "kasa_config", {"beta": 0.1}),
                ("VERA", "save_projection", False),
            )
        ],
        (
            {"type": "OFT", "config": {"eps": 1e-3}},
            r"^method\.config\.eps: OFT uses it only with coft: true; got coft: false; set both ",
        ),
        (
            {"type": "P_TUNING", "config": {"num_virtual_tokens": 4, "encoder_dropout": 0.5}},
            r"^method\.config\.encoder_dropout: P_TUNING uses it only with encoder_r\w+: LSTM; ",
        ),
        (
            {"type": "LORA", "config": {"fan_in_fan_out": True}},
            r"^method\.config\.fan_in_fan_out: peft sets it by the kind of the layer; allowed: ",
        ),
        (
            {"type": "POLY"},
            r"^method\.type: POLY: rows have no number of a task here; allowed: LORA",
        ),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(settings: dict[str, Any], message: str) -> None:
    """The message names the field and what is allowed."""
    with pytest.raises(ConfigError, match=message) as caught:
        apply(PeftAny(**settings), Tiny())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("start", [True, False, "gaussian", "orthogonal", "olora", "pissa"])
def test_every_start_that_is_taken_is_a_start_of_its_own_and_outlives_saving(
    start: bool | str, tmp_path: Path
) -> None:
    """Trained, saved and loaded into another model it predicts the same, and unlike all others."""
    source, batch = Tiny(), batch_of(Tiny())
    methods = [
        PeftAny(type="LORA", config={"r": 4, "init_lora_weights": value})
        for value in (start, start is not True)
    ]
    models = [apply(method, source) for method in methods]
    for model in models:
        train(model, batch, steps=2)
    assert not torch.equal(*(logits_of(model, batch) for model in models))
    methods[0].save(models[0], tmp_path)
    other = apply(methods[0], source, seed=2)
    methods[0].load(other, tmp_path)
    assert torch.equal(logits_of(other, batch), logits_of(models[0], batch))


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("PREFIX_TUNING", {"prefix_projection": True, "encoder_hidden_size": 8}),
        ("P_TUNING", {"encoder_reparameterization_type": "LSTM", "encoder_dropout": 0.5}),
    ],
)
def test_a_prompt_that_a_network_makes_outlives_saving(
    kind: str, config: dict[str, Any], tmp_path: Path
) -> None:
    """The file holds the prompt that was made; the network is needed no more."""
    source, batch = Tiny(), batch_of(Tiny())
    method = PeftAny(type=kind, config={"num_virtual_tokens": 4, **config})
    model = apply(method, source)
    train(model, batch, steps=2)
    before = logits_of(model, batch)
    method.save(model, tmp_path)
    other = apply(method, source, seed=2)
    method.load(other, tmp_path)
    torch.testing.assert_close(logits_of(other, batch), before, atol=1e-5, rtol=0)


def test_case_of_the_type_does_not_matter() -> None:
    """`loha` and `LOHA` make the same model, and the config's fields reach it."""
    sizes = [
        sum(p.numel() for p in apply(PeftAny(type=name, config={"r": r}), Tiny()).parameters())
        for name, r in (("loha", 2), ("LOHA", 2), ("loha", 4))
    ]
    assert sizes[0] == sizes[1] < sizes[2]


@pytest.mark.parametrize("architecture", ["bert", "roberta"])
@pytest.mark.parametrize("method", [Prompt(virtual_tokens=13), Prefix(virtual_tokens=13)])
def test_text_and_prompt_must_fit_the_positions(
    method: Prompt | Prefix, architecture: Any
) -> None:
    """499 tokens and 13 virtual ones fit 512 positions; one more is an error that says so."""
    source = Tiny(architecture=architecture)
    model = apply(method, source).eval()
    for length in (499, 500):
        ids = torch.full((1, length), 10)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if length == 499:
            assert model(**inputs).logits.shape == (1, 3)
            continue
        with pytest.raises(ConfigError, match=r"500 tokens and 13 virtual .* 512 positions"):
            model(**inputs)


def test_a_prompt_starts_from_words_or_from_noise() -> None:
    """Each row of a sampled prompt is a word's embedding; of a random one none is."""
    for start, expected in (("sample_vocab", True), ("random", False)):
        model: Any = apply(Prompt(start=start, virtual_tokens=5), Tiny())
        words = model.get_base_model().bert.embeddings.word_embeddings.weight
        rows = model.prompt_encoder["default"].embedding.weight
        found = [bool((words == row).all(1).any()) for row in rows]
        assert found == [expected] * 5


def test_a_decoder_ignores_what_stands_in_padding() -> None:
    """With a prompt a decoder sees embeddings only; the logits still are the last real token's."""
    source = Tiny(architecture="llama")
    model = apply(Prompt(virtual_tokens=4), source).eval()
    batch = batch_of(source)
    hidden = batch["attention_mask"] == 0
    other = {**batch, "input_ids": batch["input_ids"].masked_fill(hidden, 20)}
    assert hidden.any()
    torch.testing.assert_close(model(**batch).logits, model(**other).logits)
