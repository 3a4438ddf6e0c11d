"""Refuse those of peft's options that would change nothing in a run: peft takes them in silence.

Each option of every type of peft 0.21 was given other values, a tiny model wrapped, trained for
two steps and asked to predict: what stands here left all numbers as they were.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field
from typing import Any

from trainers.errors import ConfigError, known, shown

_OF_THE_RUN = (
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "peft_type",
    "peft_version",
    "revision",
    "task_type",
)
_WITHOUT_EFFECT = {
    "ADAMSS": (
        "asa_importance_beta",
        "asa_schedule_exponent",
        "asa_target_subspaces",
        "asa_uncertainty_beta",
        "final_warmup",
        "init_warmup",
        "mask_interval",
        "use_asa",
    ),
    "FROD": ("progressbar", "runtime_offload_base_weight", "save_projection"),
    "LOHA": ("use_effective_conv2d",),
    "LOKR": ("use_effective_conv2d",),
    "LORA": (
        "alora_invocation_tokens",
        "arrow_config",
        "corda_config",
        "ensure_weight_tying",
        "eva_config",
        "loftq_config",
        "lora_ga_config",
        "megatron_config",
        "megatron_core",
        "qalora_group_size",
        "runtime_config",
        "use_qalora",
    ),
    "PREFIX_TUNING": ("token_dim",),
    "PROMPT_TUNING": (
        "num_attention_heads",
        "num_layers",
        "num_transformer_submodules",
        "prompt_tuning_init_text",
        "token_dim",
        "tokenizer_kwargs",
        "tokenizer_name_or_path",
    ),
    "PVERA": ("save_projection",),
    "P_TUNING": (
        "encoder_dropout",
        "encoder_num_layers",
        "num_attention_heads",
        "num_layers",
        "num_transformer_submodules",
        "token_dim",
    ),
    "RANDLORA": ("save_projection",),
    "SUPERTUNING": ("save_precomputed_indices",),
    "TINYLORA": ("save_projection",),
    "UNILORA": ("save_indices",),
    "VBLORA": ("save_only_topk_weights",),
    "VERA": ("save_projection",),
}
"""By type, options that a training without code of their own does not see."""
_STARTS = {
    ("LORA", "init_lora_weights"): (
        "True|False|gaussian|orthogonal|olora|pissa",
        "true, false, gaussian, orthogonal, olora, pissa",
        "needs rows of the data, a quantised model, or draws that a kept model could not repeat",
    ),
    ("PROMPT_TUNING", "prompt_tuning_init"): (
        r"(PromptTuningInit\.)?(RANDOM|SAMPLE_VOCAB)",
        "RANDOM, SAMPLE_VOCAB",
        "needs a text and a tokenizer, which no run gives it",
    ),
}
"""By type and option: which values can be begun with, and why others cannot."""
_TYPES = {
    "ADALORA": "nothing here moves its budget between matrices: it would stay at its first rank",
}
"""Types that would be trained as another one under their name."""


def check_options(kind: str, settings: Mapping[str, Any], options: Sequence[Field[Any]]) -> None:
    """Check what a study sets of a peft type.

    Args:
        kind: The type, in capitals.
        settings: The options that are set.
        options: Those that the type has.

    Raises:
        ConfigError: A type, an option or a value that would have no effect, or another one.
    """
    if kind in _TYPES:
        raise ConfigError(f"method.type: {kind}: {_TYPES[kind]}; allowed: lora")
    allowed = {option.name: option for option in options if option.init}
    unused = (*_OF_THE_RUN, *_WITHOUT_EFFECT.get(kind, ()))
    useful = sorted(set(allowed) - set(unused))
    for name, value in settings.items():
        if name not in allowed:
            raise ConfigError(f"method.config.{name}: no such field; known: {known(useful, 99)}")
        if name in unused and value != _default(allowed[name]):
            why = (
                "the run sets it" if name in _OF_THE_RUN else f"it changes nothing in {kind} here"
            )
            raise ConfigError(f"method.config.{name}: {why}; allowed: {known(useful, 99)}")
        _check_start(kind, name, value)


def _check_start(kind: str, name: str, value: object) -> None:
    if (kind, name) not in _STARTS:
        return
    pattern, allowed, why = _STARTS[kind, name]
    if re.fullmatch(pattern, str(value)) is None:
        raise ConfigError(
            f"method.config.{name}: got {shown(value)}, which {why}; allowed: {allowed}"
        )


def _default(option: Field[Any]) -> object:
    if option.default is not MISSING:
        return option.default
    return option.default_factory() if option.default_factory is not MISSING else None
