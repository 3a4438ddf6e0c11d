"""Complete a DeepSpeed config, and check it against a run's own settings: both must agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trainers.errors import ConfigError, known, shown

if TYPE_CHECKING:
    from trainers.contract import TrainSettings

_AUTO = "auto"
_STAGES = (0, 1, 2, 3)
_OPTIMIZERS = {"adamw_torch_fused": "AdamW", "adamw_torch": "AdamW", "sgd": "SGD"}
"""DeepSpeed's names of our optimizers."""
_OPTIMIZER_PARAMS = ("lr", "betas", "eps", "weight_decay", "torch_adam")
"""Allowed options of an optimizer: checked, or without effect on the update rule."""
_NEUTRAL = {"adam_w_mode": True, "bias_correction": True, "amsgrad": False, "momentum": 0.0}
"""Options that leave the update rule as it is at these values."""
_RULES = (
    *("amp", "compression_training", "curriculum_learning", "data_efficiency", "eigenvalue"),
    "progressive_layer_drop",
)
"""Sections that train by another rule than a run without DeepSpeed does; not allowed."""
_FIXED = {"gradient_allreduce_op": "mean", "managed_gradient_accumulation": True}
"""Fields whose other values train by another rule than a run without DeepSpeed does."""
_ROUNDING = {
    "bf16": ("bf16_master_weights_and_grads", "bf16_optimizer_states"),
    "fp16": ("auto_cast", "fp16_master_weights_and_grads"),
    "zero_optimization": (
        *("zenflow", "zero_quantized_gradients", "zero_quantized_weights"),
        "zero_quantized_nontrainable_weights",
    ),
}
"""Fields that store, send or update numbers in another precision than train.precision."""
_OPTIMIZERS_OWN = {"AdamW": ("lr", "betas", "eps", "weight_decay"), "SGD": ("lr", "weight_decay")}
"""Options for which DeepSpeed's own optimizers have defaults of theirs."""
_AUTO_ON = {"enabled": _AUTO}
_LEFT_OUT = {
    "train_micro_batch_size_per_gpu": _AUTO,
    "gradient_accumulation_steps": _AUTO,
    "train_batch_size": _AUTO,
    "gradient_clipping": _AUTO,
    "bf16": _AUTO_ON,
    "fp16": _AUTO_ON,
}
"""Fields that DeepSpeed requires, or whose defaults differ from the run's settings."""


def complete_deepspeed(content: object) -> object:
    """Return a config with `auto` for every missing field that the run decides."""
    if not isinstance(content, Mapping):
        return content
    completed = _filled(content, _LEFT_OUT)
    optimizer = content.get("optimizer")
    if isinstance(optimizer, Mapping):
        params = optimizer.get("params") or {}
        own = dict.fromkeys(_OPTIMIZERS_OWN.get(str(optimizer.get("type")), ()), _AUTO)
        if isinstance(params, Mapping):
            completed["optimizer"] = {**optimizer, "params": _filled(params, own)}
    return completed


def _filled(given: Mapping[str, Any], silent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given fields that are not null, and the others as in `silent`."""
    return {**silent, **{key: value for key, value in given.items() if value is not None}}


def check_deepspeed(content: Mapping[str, Any], train: TrainSettings, *, ranks: int) -> None:
    """Raise a ConfigError at the first value that contradicts the run's settings.

    Args:
        content: DeepSpeed's JSON.
        train: How the run is trained.
        ranks: Processes of the run.
    """
    stage = _get(content, "zero_optimization.stage")
    if stage not in _STAGES or isinstance(stage, bool):
        raise _wrong("zero_optimization.stage", stage, f"0, 1, 2, 3{_instead(content, stage)}")
    batch, accumulation = train.batch_size, train.gradient_accumulation
    for key, value, said_by in (
        ("train_micro_batch_size_per_gpu", batch, "train.batch_size"),
        ("gradient_accumulation_steps", accumulation, "train.gradient_accumulation"),
        ("train_batch_size", ranks * batch * accumulation, "ranks x batch size x accumulation"),
        ("gradient_clipping", train.max_grad_norm, "train.max_grad_norm"),
    ):
        _agree(content, key, value, said_by)
    _check_precision(content, train)
    _check_optimizer(content, train)
    _check_rules(content)
    _check_places(content, stage, ranks)


def uses_zero3(content: Mapping[str, Any] | None) -> bool:
    """Return whether a config has ZeRO-3 partition the parameters among the ranks."""
    return content is not None and _get(content, "zero_optimization.stage") == _STAGES[-1]


def _check_rules(content: Mapping[str, Any]) -> None:
    """Refuse sections that the run's settings decide, or that train by another rule."""
    if "scheduler" in content:
        raise ConfigError(
            "deepspeed.scheduler: not allowed; train.schedule and train.warmup decide it"
        )
    for key, fixed in _FIXED.items():
        if content.get(key, fixed) != fixed:
            raise _wrong(key, content[key], str(fixed).lower())
    for key in _RULES:
        section = content.get(key)
        if section and (not isinstance(section, Mapping) or section.get("enabled", True)):
            raise ConfigError(f"deepspeed.{key}: not allowed; it trains by another rule")
    if "tensor_parallel" in content:
        raise ConfigError(
            "deepspeed.tensor_parallel: not allowed; each rank trains on its own rows"
        )


def _check_places(content: Mapping[str, Any], stage: int, ranks: int) -> None:
    """Check the devices of tensors; DeepSpeed checks them late, or ignores what it cannot do."""
    zero = content["zero_optimization"]
    for key in ("offload_optimizer", "offload_param"):
        device = _get(zero, f"{key}.device")
        if device not in (None, "cpu", "none"):
            raise _wrong(f"zero_optimization.{key}.device", device, "cpu, none")
    for key, stages in (("offload_optimizer", _STAGES[1:]), ("offload_param", _STAGES[3:])):
        if zero.get(key) and stage not in stages:
            allowed = f"with stage {', '.join(map(str, stages))}"
            raise ConfigError(
                f"deepspeed.zero_optimization.{key}: got stage {stage}; allowed: {allowed}"
            )
    group = zero.get("zero_hpz_partition_size", 1)
    if isinstance(group, int) and group > 1 and ranks % group:
        key = "zero_optimization.zero_hpz_partition_size"
        raise _wrong(key, group, f"a divisor of ranks, which are {ranks}")


def _check_precision(content: Mapping[str, Any], train: TrainSettings) -> None:
    """Precision `auto` is known only on the device, so the config has to leave it open too."""
    for kind in ("bf16", "fp16"):
        key = f"{kind}.enabled"
        got = _get(content, key)
        if train.precision == "auto":
            open_values = [_AUTO] if kind == "bf16" else [_AUTO, None, False]
            if got not in open_values:
                raise _wrong(key, got, "auto, where train.precision is auto")
        elif train.precision == kind and got not in (_AUTO, True):
            raise _wrong(key, got, f"auto, true (train.precision is {kind})")
        elif train.precision != kind and got not in (_AUTO, None, False):
            raise _wrong(key, got, f"auto, false (train.precision is {train.precision})")
    for section, names in _ROUNDING.items():
        if section in (train.precision, "zero_optimization") or train.precision == "auto":
            for name in names:
                if value := _get(content, f"{section}.{name}"):
                    said = f"{section}.{name}"
                    raise _wrong(said, value, "not given; train.precision decides it")
    if (sent := content.get("communication_data_type", "fp32")) != "fp32":
        raise _wrong("communication_data_type", sent, "fp32, or not given")
    if autocast := _get(content, "torch_autocast.enabled"):
        raise _wrong("torch_autocast.enabled", autocast, "false; train.precision decides it")
    types = content.get("data_types")
    silent = isinstance(types, Mapping) and all(value is None for value in types.values())
    if types and not silent:
        raise ConfigError("deepspeed.data_types: not allowed; train.precision decides it")


def _check_optimizer(content: Mapping[str, Any], train: TrainSettings) -> None:
    same = _OPTIMIZERS.get(train.optimizer)
    if same is None:
        # ZeRO gives it flat slices, without rows and columns and different on each rank.
        raise ConfigError(
            f"train.optimizer: got {train.optimizer}; allowed with deepspeed: "
            f"{', '.join(_OPTIMIZERS)}, which work weight by weight"
        )
    if "optimizer" not in content:
        device = _get(content, "zero_optimization.offload_optimizer.device") or "none"
        forced = content.get("zero_force_ds_cpu_optimizer", True)
        if device != "none" and forced and same != "AdamW":
            # accelerate would replace it by DeepSpeed's Adam without a word.
            raise _wrong("zero_force_ds_cpu_optimizer", forced, f"false, with {train.optimizer}")
        return
    kind = _get(content, "optimizer.type")
    if kind != same:
        raise _wrong("optimizer.type", kind, f"{same} (train.optimizer)")
    if train.weight_decay:
        raise ConfigError(
            f"train.weight_decay: got {train.weight_decay}; allowed: 0 where deepspeed.optimizer "
            "is given, which would decay biases and norms too"
        )
    betas = [train.adam_beta1, train.adam_beta2]
    for key, value, said_by in (
        ("lr", train.learning_rate, "train.learning_rate"),
        ("betas", betas, "train.adam_beta1 and adam_beta2"),
        ("eps", train.adam_epsilon, "train.adam_epsilon"),
        ("weight_decay", train.weight_decay, "train.weight_decay"),
    ):
        _agree(content, f"optimizer.params.{key}", value, said_by)
    params = _get(content, "optimizer.params") or {}
    if not isinstance(params, Mapping):
        raise _wrong("optimizer.params", params, "a mapping")
    for name in sorted(params.keys() - set(_OPTIMIZER_PARAMS)):
        if name not in _NEUTRAL:
            raise _wrong(f"optimizer.params.{name}", params[name], known(_OPTIMIZER_PARAMS))
        if params[name] != _NEUTRAL[name]:
            raise _wrong(f"optimizer.params.{name}", params[name], str(_NEUTRAL[name]).lower())


def _agree(content: Mapping[str, Any], key: str, value: object, said_by: str) -> None:
    got = _get(content, key)
    if got is not None and got != _AUTO and got != value:
        raise _wrong(key, got, f"auto, {value} ({said_by})")


def _get(content: Mapping[str, Any], dotted: str) -> Any:
    """Return a nested value; None where it is missing."""
    node: Any = content
    for part in dotted.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _instead(content: Mapping[str, Any], stage: object) -> str:
    """Return the names beside a missing stage, for a message: one of them may be mistyped."""
    section = content.get("zero_optimization")
    if section is not None and not isinstance(section, Mapping):
        return f"; zero_optimization is {shown(section)}"
    if isinstance(section, Mapping):
        where, names = "zero_optimization", sorted(section)
    else:
        where, names = "the config", sorted(content.keys() - _LEFT_OUT.keys())
    return "" if stage is not None or not names else f"; {where} has {', '.join(names)}"


def _wrong(key: str, got: object, allowed: str) -> ConfigError:
    said = "missing" if got is None else f"got {shown(got)}"
    return ConfigError(f"deepspeed.{key}: {said}; allowed: {allowed}")
