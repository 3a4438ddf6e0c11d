"""Values of peft's options: an invalid one is refused in a line, before a model is wrapped.

The contract takes every option of every type from peft's registry, as that of the options does.
"""

from __future__ import annotations

import copy
import math
import re
import typing
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from tests.trainers.methods.test_peft_options import (
    BASES,
    NOT_TRAINED,
    TYPES,
    Option,
    architecture_of,
    body,
    options_of,
)
from trainers.errors import ConfigError
from trainers.methods.peft_any import PeftAny

TRAINED = sorted(set(TYPES) - NOT_TRAINED)


def apply(kind: str, config: Mapping[str, Any], architecture: str = "") -> torch.nn.Module:
    """Wrap a tiny model."""
    model = copy.deepcopy(body(architecture or architecture_of(kind))[0])
    return PeftAny(type=kind, config=dict(config)).apply(model)


def refusal(kind: str, name: str, value: object) -> str:
    """Return why a value of an option is refused; empty where it is taken."""
    try:
        apply(kind, BASES.get(kind, {}) | {name: value})
    except ConfigError as error:
        return str(error)
    return ""


def is_number(option: Option) -> bool:
    """Return whether an option is one number, or none."""
    parts = {option.annotation, *typing.get_args(option.annotation)}
    return bool(parts & {int, float}) and not any(
        map(typing.get_origin, parts - {option.annotation})
    )


@pytest.mark.parametrize("kind", TRAINED)
@pytest.mark.filterwarnings("ignore")
def test_a_value_of_another_kind_is_refused_at_its_key(kind: str) -> None:
    """A text or nan for a number, a text for a truth value, a number for names: of any option."""
    for option in options_of(kind):
        if "." in option.name:
            continue
        wrong: list[object] = []
        if is_number(option):
            wrong = ["8", math.nan, math.inf, True, [1.5], {"query": 1}]
        elif option.annotation is bool:
            wrong = ["false", 2.5, [True]]
        elif option.name.endswith(("_modules", "bias")):
            wrong = [5, 2.5, [1.5], {"query": 1}]
        for value in wrong:
            said = refusal(kind, option.name, value)
            assert said.startswith(f"method.config.{option.name}: "), (option.name, value, said)
            assert "\n" not in said


@pytest.mark.parametrize("kind", TRAINED)
@pytest.mark.filterwarnings("ignore")
def test_a_number_of_0_is_refused_or_the_adapter_learns(kind: str) -> None:
    """With a scaling, a rank or a first spread of 0 nothing but the head would be trained."""
    for option in options_of(kind):
        if "." in option.name or not is_number(option):
            continue
        if said := refusal(kind, option.name, 0):
            assert said.startswith("method.config"), option.name
            continue
        model = apply(kind, BASES.get(kind, {}) | {option.name: 0})
        assert gradient(model, kind) > 0, option.name


def gradient(model: torch.nn.Module, kind: str) -> float:
    """Return the sum of the adapter's gradients, without the head's, over two small steps."""
    batch = body(architecture_of(kind))[1]
    trained = [
        (name, p)
        for name, p in model.named_parameters()
        if p.requires_grad and not re.search("classifier|score", name)
    ]
    optimizer = torch.optim.SGD([p for _, p in trained], lr=0.1)
    total = 0.0
    for _ in range(2):
        optimizer.zero_grad()
        model(**batch).loss.backward()
        total += sum(float(p.grad.abs().sum()) for _, p in trained if p.grad is not None)
        optimizer.step()
    return total


@pytest.mark.parametrize(
    ("kind", "name", "value", "allowed"),
    [
        ("LORA", "lora_alpha", 0, "a finite number above 0"),
        ("LORA", "alpha_pattern", {"query": 0}, "a finite number above 0"),
        ("LOHA", "alpha", 0, "a finite number above 0"),
        ("FOURIERFT", "scaling", 0, "a finite number above 0"),
        ("VERA", "r", 0, "a whole number from 1"),
        ("VERA", "d_initial", 0, "a finite number, not 0"),
        ("LORA", "r", 2.5, "a whole number from 1"),
        ("LORA", "r", "8", "a whole number from 1"),
        ("LORA", "r", None, "a whole number from 1"),
        ("LORA", "rank_pattern", {"query": 0}, "a whole number from 1"),
        ("LORA", "rank_pattern", 4, "a mapping"),
        ("LORA", "lora_alpha", math.nan, "a finite number above 0"),
        ("LORA", "lora_dropout", 1.5, "0 to below 1"),
        ("LORA", "lora_dropout", 1, "0 to below 1"),
        ("LORA", "bias", "everything", "all, lora_only, none"),
        ("VERA", "bias", "everything", "all, none, vera_only"),
        ("LORA", "use_rslora", "false", "true, false"),
        ("MISS", "init_weights", "foo", "true, false, bat, mini"),
        ("TINYLORA", "init_weights", "foo", "true, false, uniform"),
        ("LORA", "layers_to_transform", "first", "a list of whole numbers or a whole number"),
        ("LORA", "modules_to_save", "pooler", "a list of texts"),
        ("LORA", "monteclora_config", 5, "a mapping"),
        ("P_TUNING", "encoder_reparameterization_type", "GRU", "LSTM, MLP"),
    ],
)
def test_a_refusal_says_the_key_the_value_and_what_is_allowed(
    kind: str, name: str, value: object, allowed: str
) -> None:
    """One line, whatever peft would have said of it."""
    said = refusal(kind, name, value)
    key = f"{name}.query" if isinstance(value, dict) else name
    assert said.startswith(f"method.config.{key}: got ")
    assert said.endswith(f"; allowed: {allowed}")


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("LORA", {"lora_alpha": 12.5}),
        ("LORA", {"layers_to_transform": 0}),
        ("LORA", {"target_modules": "all-linear", "r": 1}),
        ("LORA", {"layer_replication": [[0, 2], [0, 2]], "trainable_token_indices": [3]}),
        ("LORA", {"bias": "lora_only", "init_lora_weights": "pissa"}),
        ("LOHA", {"alpha": 2.5, "rank_pattern": {"query": 3}, "alpha_pattern": {"query": 1.5}}),
        ("LOKR", {"decompose_factor": 4, "init_weights": "lycoris"}),
        ("DELORA", {"delora_lambda": 2.5}),
        ("ADAMSS", {"init_weights": None}),
        ("SUPERTUNING", {"r": 4, "lora_alpha": 8}),
        ("VERA", {"projection_prng_key": 0, "bias": "vera_only"}),
        ("OSF", {"effective_rank": 0.5, "rank_pattern": {"query": 0.25}}),
        ("LORA", {"exclude_modules": None, "modules_to_save": None, "alpha_pattern": {}}),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_works_is_taken(kind: str, config: dict[str, Any]) -> None:
    """A number with a point for a scaling, null where it is the default, one number for a list."""
    assert gradient(apply(kind, BASES.get(kind, {}) | config), kind) > 0


def test_a_start_that_peft_does_not_have_is_no_such_start() -> None:
    """Only those that peft has are said to need what no run gives."""
    assert "got 'foo', no such start; allowed: true, false" in refusal(
        "LORA", "init_lora_weights", "foo"
    )
    assert "got 'eva', which needs rows" in refusal("LORA", "init_lora_weights", "eva")
    assert "got 'pissa_niter_4', which needs" in refusal(
        "LORA", "init_lora_weights", "pissa_niter_4"
    )


def test_targets_are_named_only_where_they_may_be_at_fault() -> None:
    """A refusal for a number's sake does not list the model's parts."""
    assert "got targets" not in refusal("C3A", "block_size", 7)
    assert "this model has" in refusal("LORA", "target_modules", "nothing")
