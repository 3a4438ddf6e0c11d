"""Refuse options of peft that would change nothing in a run, which peft accepts silently.

`tests/trainers/methods/test_peft_options.py` sets each option of every type to another value and
checks that a tiny model is built or trained another way, or that the option is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, NamedTuple, get_type_hints

from trainers.errors import ConfigError, known, shown
from trainers.methods._peft_values import check_value

_BY_RUN = "the run sets it"
_BY_MODEL = "peft reads it from the model"
_SET = {
    "auto_mapping": _BY_RUN,
    "base_model_name_or_path": _BY_RUN,
    "inference_mode": _BY_RUN,
    "peft_type": _BY_RUN,
    "peft_version": _BY_RUN,
    "revision": _BY_RUN,
    "task_type": _BY_RUN,
    "fan_in_fan_out": "peft sets it by the kind of the layer",
    "num_attention_heads": _BY_MODEL,
    "num_layers": _BY_MODEL,
    "num_transformer_submodules": _BY_MODEL,
    "token_dim": _BY_MODEL,
}
"""Options of any type that are set already, and the reason."""
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
    "BOFT": ("boft_n_butterfly_factor",),  # peft uses 1 where it cannot compile its CUDA code
    "FROD": ("progressbar", "runtime_offload_base_weight", "save_projection"),
    "HIRA": ("rank_pattern",),
    "LOHA": ("use_effective_conv2d",),
    "LOKR": ("use_effective_conv2d",),
    "LORA": (
        "alora_invocation_tokens",
        "arrow_config",
        "corda_config",
        "ensure_weight_tying",
        "eva_config",
        "kasa_config.beta",
        "kasa_config.gamma",
        "loftq_config",
        "lora_ga_config",
        "megatron_config",
        "megatron_core",
        "monteclora_config.dirichlet_prior",
        "monteclora_config.kl_loss_weight",
        "monteclora_config.use_entropy",
        "qalora_group_size",
        "runtime_config",
        "use_qalora",
    ),
    "OFT": ("module_dropout",),
    "OSF": ("target_svd_config",),
    "PROMPT_TUNING": ("prompt_tuning_init_text", "tokenizer_kwargs", "tokenizer_name_or_path"),
    "PSOFT": ("psoft_alpha",),  # peft multiplies by it and divides by it again
    "PVERA": ("save_projection",),
    "RANDLORA": ("save_projection",),
    "SHADOW": ("layers_pattern", "layers_to_transform"),
    "SUPERTUNING": ("save_precomputed_indices",),
    "TINYLORA": ("save_projection",),
    "UNILORA": ("save_indices",),
    "VBLORA": ("save_only_topk_weights",),
    "VERA": ("save_projection",),
}
"""By type, options and parts of options that have no effect without code of the user's."""


class _Need(NamedTuple):
    """The value of another option that an option needs to have an effect."""

    option: str
    pattern: str
    """Matches the other option's value, written as in Python."""
    said: str


_CAYLEY = _Need("use_cayley_neumann", "True", "true")
_LOWRANK = _Need("psoft_svd", "lowrank", "lowrank")
_LSTM = _Need("encoder_reparameterization_type", "LSTM", "LSTM")
_LAYERS = _Need("layers_to_transform", "(?!None).*", "numbers of layers")
"""The need of `layers_pattern`, in any type."""
_NEEDS = {
    ("ADAMSS", "svd_threshold"): _Need("use_dynamic_rank", "True", "true"),
    ("DEFT", "init_scale"): _Need("init_weights", "False", "false"),
    ("LOKR", "rank_dropout_scale"): _Need("rank_dropout", r"(?!0(\.0)?$).*", "above 0"),
    ("MISS", "mini_r"): _Need("init_weights", "mini", "mini"),
    ("OFT", "eps"): _Need("coft", "True", "true"),
    ("OFT", "num_cayley_neumann_terms"): _CAYLEY,
    ("PREFIX_TUNING", "encoder_hidden_size"): _Need("prefix_projection", "True", "true"),
    ("PSOFT", "cayley_neumann_eps"): _CAYLEY,
    ("PSOFT", "num_cayley_neumann_terms"): _CAYLEY,
    ("PSOFT", "psoft_svd_lowrank_niter"): _LOWRANK,
    ("PSOFT", "random_seed"): _LOWRANK,
    ("P_TUNING", "encoder_dropout"): _LSTM,
    ("P_TUNING", "encoder_num_layers"): _LSTM,
    ("SUPERTUNING", "lora_dropout"): _Need("r", r"\d+", "a number"),
    ("TINYLORA", "init_v_bound"): _Need("init_weights", "uniform", "uniform"),
    ("WAVEFT", "wavelet_family"): _Need("use_idwt", "True", "true"),
}
"""By type and option: the other option without which peft ignores it."""
_STARTS = {
    ("LORA", "init_lora_weights"): (
        "True|False|gaussian|orthogonal|olora|pissa",
        "true, false, gaussian, orthogonal, olora, pissa",
        "needs rows of the data, a quantised model, or draws that a kept model could not repeat",
        r"eva|corda|lora_ga|loftq|mica|pissa_niter_\d+",
    ),
    ("PROMPT_TUNING", "prompt_tuning_init"): (
        r"(PromptTuningInit\.)?(RANDOM|SAMPLE_VOCAB)",
        "RANDOM, SAMPLE_VOCAB",
        "needs a text and a tokenizer, which no run gives it",
        r"(PromptTuningInit\.)?TEXT",
    ),
    ("SHADOW", "shadow_model"): (
        "mirror",
        "mirror",
        "is a second model, which no run looks up",
        ".*",
    ),
    ("SHIRA", "mask_type"): (
        "random",
        "random",
        "needs a function that makes the mask, which no run gives it",
        ".*",
    ),
}
"""By type and option: allowed first values, why others are refused, and those of peft."""
_TYPES = {
    "ADALORA": (
        "nothing here moves its budget between matrices: it would stay at its first rank",
        "LORA",
    ),
    "MULTITASK_PROMPT_TUNING": ("rows have no number of a task here", "PROMPT_TUNING"),
    "POLY": ("rows have no number of a task here", "LORA"),
    "XLORA": ("it mixes adapters that are trained already, and a run begins with none", "LORA"),
}
"""Types that cannot be trained here: the reason, and a similar type."""


def check_options(kind: str, settings: Mapping[str, Any], config: type[Any]) -> None:
    """Check a study's options of a peft type.

    Args:
        kind: The type, in capitals.
        settings: The options that are set.
        config: The type's dataclass of options.

    Raises:
        ConfigError: A type, an option or a value that would have no effect, or another one; or a
            value of another type than the option's.
    """
    if kind in _TYPES:
        why, instead = _TYPES[kind]
        raise ConfigError(f"method.type: {kind}: {why}; allowed: {instead}")
    allowed = {option.name: option for option in fields(config) if option.init}
    hints = get_type_hints(config)
    unused = {*_SET, *_WITHOUT_EFFECT.get(kind, ())}
    useful = known(set(allowed) - unused, 99)
    values = {name: _default(option) for name, option in allowed.items()} | dict(settings)
    for name, value in settings.items():
        if name not in allowed:
            raise ConfigError(f"method.config.{name}: no such field; known: {useful}")
        default = _default(allowed[name])
        if value == default and isinstance(value, bool) == isinstance(default, bool):
            continue
        parts = [f"{name}.{part}" for part in value] if isinstance(value, Mapping) else []
        if idle := [key for key in (name, *parts) if key in unused]:
            why = _SET.get(name, f"it changes nothing in {kind} here")
            also = "" if idle[0] == name else "to leave it out, "
            raise ConfigError(f"method.config.{idle[0]}: {why}; allowed: {also}{useful}")
        check_value(kind, name, value, hints[name], default)
        _check_need(kind, name, values)
        _check_start(kind, name, value)


def _check_need(kind: str, name: str, values: Mapping[str, Any]) -> None:
    need = _NEEDS.get((kind, name), _LAYERS if name == "layers_pattern" else None)
    if need is None:
        return
    got = getattr(values[need.option], "value", values[need.option])  # of an enumeration
    if re.fullmatch(need.pattern, str(got)) is None:
        raise ConfigError(
            f"method.config.{name}: {kind} uses it only with {need.option}: {need.said}; "
            f"got {need.option}: {shown(got)}; set both or neither"
        )


def _check_start(kind: str, name: str, value: object) -> None:
    if (kind, name) not in _STARTS:
        return
    pattern, allowed, why, others = _STARTS[kind, name]
    if re.fullmatch(pattern, str(value)) is None:
        said = f"which {why}" if re.fullmatch(others, str(value)) else "no such start"
        raise ConfigError(f"method.config.{name}: got {shown(value)}, {said}; allowed: {allowed}")


def _default(option: Field[Any]) -> object:
    if option.default is not MISSING:
        return option.default
    return option.default_factory() if option.default_factory is not MISSING else None
