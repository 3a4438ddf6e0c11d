"""Every option of every peft type changes something, or is refused: peft's registry decides.

A field that a new peft brings fails until it acts under `other_value`, has its value in `VALUES`
or its setting in `TOGETHER`, or is refused by `trainers/methods/_peft_options.py`.
"""

from __future__ import annotations

import copy
import functools
import json
import typing
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, NamedTuple

import pytest
import torch
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from transformers import AutoModelForSequenceClassification, MixtralConfig, PreTrainedModel

from bench.peft_types import SETTINGS
from tests.contracts import LABELS, batch_of, build
from trainers.errors import ConfigError
from trainers.methods.peft_any import PeftAny
from trainers.models.tiny import Tiny

TYPES = {member.name: config for member, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
NOT_TRAINED = {"ADALORA", "ADAPTION_PROMPT", "CPT", "MULTITASK_PROMPT_TUNING", "POLY"} | {
    "TRAINABLE_TOKENS",
    "XLORA",
}
"""Types that no classifier can be trained with."""
ARCHITECTURES = {("SHADOW", ""): "llama", ("LORA", "target_parameters"): "mixtral"}
"""By type, and by option: what it is tried on, where not on BERT."""
BASES: dict[str, dict[str, Any]] = {
    **SETTINGS,
    "LN_TUNING": {"target_modules": ["LayerNorm"]},
    "OFT": {"oft_block_size": 8},  # or a layer 32 wide has a single block
    "WAVEFT": {"n_frequency": 64, "proportional_parameters": False},
}
"""What each type is tried with: what it needs, or needs on a body 32 wide."""
OF_OPTION = {("LORA", "target_parameters"): {"target_modules": ["q_proj"]}}
"""What an option is tried with, besides what its type is."""
VALUES: dict[tuple[str, str], Any] = {
    ("ADAMSS", "init_weights"): None,
    ("ADAMSS", "r"): 8,  # cut to the width of the layer
    ("ADAMSS", "svd_threshold"): 0.9,
    ("C3A", "block_size"): 4,
    ("C3A", "block_size_pattern"): {"query": 4},
    ("FOURIERFT", "init_weights"): True,
    ("LN_TUNING", "exclude_modules"): ["output.LayerNorm"],
    ("LN_TUNING", "target_modules"): ["attention.output.LayerNorm"],
    ("LORA", "kasa_config"): {},
    ("LORA", "layer_replication"): [[0, 2], [0, 2]],
    ("LORA", "monteclora_config"): {"num_samples": 2},
    ("LORA", "target_parameters"): ["experts.down_proj"],
    ("LORA", "use_bdlora"): {
        "target_modules_bd_a": ["query"],
        "match_strict": False,
        "nblocks": 2,
    },
    ("LORA", "use_bdlora.match_strict"): True,
    ("LORA", "use_bdlora.nblocks"): 4,
    ("LORA", "use_bdlora.target_modules_bd_a"): ["query", "value"],
    ("LORA", "use_bdlora.target_modules_bd_b"): ["value"],
    ("LORA", "velora_config"): {"num_groups": 4},
    ("OFT", "r"): 4,
    ("P_TUNING", "encoder_hidden_size"): 8,
    ("P_TUNING", "encoder_reparameterization_type"): "LSTM",
    ("PEANUT", "act_fn"): "gelu",
    ("PROMPT_TUNING", "prompt_tuning_init"): "SAMPLE_VOCAB",
    ("PSOFT", "cayley_neumann_eps"): 0.01,
    ("ROAD", "variant"): "road_2",
    ("SHADOW", "exclude_modules"): ["layers.0"],
    ("SHADOW", "modules_to_save"): ["embed_tokens"],
    ("SHADOW", "shadow_hidden_size"): 16,
    ("SHADOW", "shadow_intermediate_size"): 16,
    ("SHADOW", "shadow_model"): "org/other",
    ("SHADOW", "target_modules"): ["layers.0"],
    ("SHIRA", "mask_type"): "magnitude",
    ("SUPERTUNING", "sparsity"): 0.5,
    ("VBLORA", "vector_length"): 8,
    ("WAVEFT", "wavelet_family"): "sym2",
}
"""By type and option: another value, where `other_value` finds none that can be."""
TOGETHER: dict[tuple[str, str], dict[str, Any]] = {
    ("ADAMSS", "svd_threshold"): {"use_dynamic_rank": True, "subspace_rank": 8, "r": 8},
    ("BOFT", "boft_block_num"): {"boft_block_size": 0, "boft_block_num": 4},
    ("DEFT", "init_scale"): {"init_weights": False},
    ("LOKR", "decompose_both"): {"r": 1},  # or its smaller factor is no matrix to part
    ("LOKR", "rank_dropout_scale"): {"rank_dropout": 0.5},
    ("MISS", "mini_r"): {"init_weights": "mini"},
    ("OFT", "eps"): {"coft": True},
    ("OFT", "r"): {"oft_block_size": 0, "r": 2},
    ("PREFIX_TUNING", "encoder_hidden_size"): {
        "prefix_projection": True,
        "encoder_hidden_size": 8,
    },
    ("PSOFT", "cayley_neumann_eps"): {"use_cayley_neumann": True},
    ("PSOFT", "num_cayley_neumann_terms"): {"use_cayley_neumann": True},
    ("PSOFT", "psoft_svd_lowrank_niter"): {"psoft_svd": "lowrank"},
    ("PSOFT", "random_seed"): {"psoft_svd": "lowrank"},
    ("P_TUNING", "encoder_dropout"): {"encoder_reparameterization_type": "LSTM"},
    ("P_TUNING", "encoder_num_layers"): {"encoder_reparameterization_type": "LSTM"},
    ("SUPERTUNING", "lora_alpha"): {"r": 4},
    ("SUPERTUNING", "lora_dropout"): {"r": 4},
    ("TINYLORA", "init_v_bound"): {"init_weights": "uniform"},
    ("WAVEFT", "proportional_parameters"): {"target_modules": ["query", "dense"]},
}
"""By type and option: the setting in which it is seen to act."""
BY_SIZE = {("LOKR", "decompose_both"), ("WAVEFT", "proportional_parameters")}
"""Options that act in layers of some sizes, and are not refused in others."""
CHECKS = {"layers_pattern", "use_bdlora.match_strict"}
"""Options that decide whether peft takes the others."""
BY_NAME: dict[str, dict[str, Any]] = {
    "target_modules": {"bert": ["key"], "llama": ["k_proj"]},
    "exclude_modules": {"bert": ["value"], "llama": ["v_proj"]},
    "feedforward_modules": {"bert": ["value"]},
    "modules_to_save": {"bert": ["classifier", "pooler"], "llama": ["score", "norm"]},
    "trainable_token_indices": {"bert": [3, 4]},
    "layers_to_transform": {"bert": [0], "llama": [0]},
    "bias": {"bert": "all", "llama": "all"},
    "layers_pattern": {"bert": "elsewhere", "llama": "elsewhere"},
}
"""By option of any type and architecture: another value."""


class Option(NamedTuple):
    """A field of a type's config, or of a config within it: then the name has a dot."""

    kind: str
    name: str
    default: Any
    annotation: Any

    def other_value(self) -> Any:
        """Return a value that is not the default."""
        key, architecture = (self.kind, self.name), architecture_of(self.kind, self.name)
        if key in VALUES:
            return VALUES[key]
        if self.name in BY_NAME:
            return BY_NAME[self.name][architecture]
        default = BASES.get(self.kind, {}).get(self.name, self.default)
        parts = [self.annotation, *typing.get_args(self.annotation)]
        literals = [part for part in parts if typing.get_origin(part) is typing.Literal]
        words = [word for part in literals for word in typing.get_args(part) if word != default]
        if words:
            return words[0]
        if self.name.endswith("_pattern"):
            return {"query": 3}
        if isinstance(default, bool):
            return not default
        if isinstance(default, int | float):
            return default * 2 or (2 if isinstance(default, int) else 0.5)
        return 2

    def configs(self, more: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a config without the option and one with it, both with more besides."""
        parent, _, part = self.name.partition(".")
        without = BASES.get(self.kind, {}) | OF_OPTION.get((self.kind, self.name), {}) | more
        if not part:
            return without, without | {self.name: self.other_value()}
        without = {parent: VALUES[self.kind, parent]} | without
        return without, without | {parent: without[parent] | {part: self.other_value()}}


def options_of(kind: str) -> Iterator[Option]:
    """Yield the options of a type, and those of each config that is an option's value."""
    for name, default, annotation in _fields(TYPES[kind]):
        yield Option(kind, name, default, annotation)
        for part in typing.get_args(annotation):
            if is_dataclass(part) and (kind, name) in VALUES:
                for inner in _fields(part):
                    yield Option(kind, f"{name}.{inner[0]}", *inner[1:])


def _fields(config: Any) -> Iterator[tuple[str, Any, Any]]:
    hints = typing.get_type_hints(config)
    for field in fields(config):
        default = field.default
        if default is MISSING and field.default_factory is not MISSING:
            default = field.default_factory()
        if field.init:
            yield field.name, None if default is MISSING else default, hints[field.name]


def architecture_of(kind: str, name: str = "") -> str:
    """Return which tiny model a type, or an option of it, is tried on."""
    return ARCHITECTURES.get((kind, name)) or ARCHITECTURES.get((kind, ""), "bert")


@functools.cache
def body(architecture: Any) -> tuple[PreTrainedModel, dict[str, torch.Tensor]]:
    """Return a tiny classifier, built once, and a batch for it."""
    if architecture == "mixtral":
        return _experts(), body("llama")[1]
    source = Tiny(architecture=architecture)
    return build(source), batch_of(source)


def _experts() -> PreTrainedModel:
    """Build a model with parameters that are no module's weight."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = MixtralConfig(
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=4,
            num_key_value_heads=2,
            num_local_experts=2,
            vocab_size=2000,
            pad_token_id=0,
            id2label=dict(enumerate(LABELS)),
        )
        model: PreTrainedModel = AutoModelForSequenceClassification.from_config(config)
        return model


class Tried:
    """A type with a config on a tiny model: what it is at its start, and what it does."""

    def __init__(self, kind: str, config: dict[str, Any], architecture: str) -> None:
        model, self._batch = body(architecture)
        torch.manual_seed(1)
        self._model = PeftAny(type=kind, config=config).apply(copy.deepcopy(model))
        self.start = [
            (name, tuple(p.shape), p.requires_grad, float((p.detach().double() ** 2).sum()))
            for name, p in self._model.named_parameters()
        ]
        self.acts = list(self._act())

    def _act(self) -> Iterator[Any]:
        """Train two steps, dropout as the model has it, and predict."""
        trained = [p for p in self._model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=2e-2)
        self._model.train()
        torch.manual_seed(7)
        for _ in range(2):
            optimizer.zero_grad()
            out = self._model(**self._batch)
            out.loss.backward()
            yield out.logits.tolist()
            yield [None if p.grad is None else float(p.grad.double().norm()) for p in trained]
            optimizer.step()
        self._model.eval()
        with torch.no_grad():
            yield self._model(**self._batch).logits.tolist()

    def differs(self, other: Tried) -> bool:
        """Return whether anything is seen to differ."""
        return self.start != other.start or self.acts != other.acts


@pytest.mark.parametrize("kind", sorted(set(TYPES) - NOT_TRAINED))
@pytest.mark.filterwarnings("ignore")
def test_every_option_changes_something_or_is_refused(kind: str) -> None:
    """Another value of each alone acts or is refused; refused for another's sake, it acts so."""
    one, same = (Tried(kind, BASES.get(kind, {}), architecture_of(kind)) for _ in range(2))
    assert not one.differs(same), "two equal trainings differ: nothing can be seen"
    assert {option.name: said for option in options_of(kind) if (said := _fault(option))} == {}


def _fault(option: Option) -> str:
    """Return what is wrong with an option; empty where it acts, or is refused in one line."""
    key = option.kind, option.name
    layers = {"layers_to_transform": [0]} if option.name == "layers_pattern" else None
    together = TOGETHER.get(key, layers)
    try:
        if _acts(option, {}):
            return "acts alone, and has a setting in TOGETHER" if together else ""
        if key not in BY_SIZE:
            return f"{option.other_value()!r} is taken and changes nothing"
    except ConfigError as error:
        said = str(error)
        ours = said.startswith(f"method.config.{option.name}: ") and "\n" not in said
        if ours and " only with " not in said:
            return ""
        if together is None or not (ours or said.startswith("method.config: peft refuses it")):
            return said
    except Exception as error:
        return f"{option.other_value()!r} breaks: {error!r}"
    return "" if together and _acts(option, together) else "is not seen to act together either"


def _acts(option: Option, more: dict[str, Any]) -> bool:
    """Return whether an option changes anything, or, of a check, whether peft takes the rest."""
    architecture = architecture_of(option.kind, option.name)
    before, after = (
        _tried_or_not(option, json.dumps(config), architecture) for config in option.configs(more)
    )
    if before is None or after is None:
        return before is not after
    return after.differs(before)


@functools.lru_cache(maxsize=4)
def _tried(kind: str, config: str, architecture: str) -> Tried:
    return Tried(kind, json.loads(config), architecture)


def _tried_or_not(option: Option, config: str, architecture: str) -> Tried | None:
    try:
        return _tried(option.kind, config, architecture)
    except ConfigError as error:
        if option.name in CHECKS and "cannot wrap" in str(error):
            return None
        raise


@pytest.mark.parametrize("kind", sorted(NOT_TRAINED))
@pytest.mark.parametrize("architecture", ["bert", "llama"])
def test_a_type_that_cannot_be_trained_is_refused(kind: str, architecture: Any) -> None:
    """In one line, before anything is trained: no type is left out of the contract otherwise."""
    method = PeftAny(type=kind, config=BASES.get(kind, {}))
    model = copy.deepcopy(body(architecture)[0])
    with pytest.raises(ConfigError, match=r"^method") as caught:
        method.apply(model)
    assert "\n" not in str(caught.value)
