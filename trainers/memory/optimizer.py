"""Make the optimizer that the Trainer makes, without the Trainer: it takes a second to import.

torch is imported at the top: only a trace imports this file.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers.trainer_pt_utils import get_parameter_names

from trainers.contract import RunSpec, TrainSettings

_NOT_DECAYED = [r"bias", r"layernorm", r"rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)"]


def make_optimizer(model: nn.Module, spec: RunSpec, *, cuda: bool) -> torch.optim.Optimizer:
    """Return the run's optimizer over the model's trained parameters.

    Args:
        model: The model.
        spec: The run.
        cuda: Step as on a CUDA device, many weights at once, else as on a CPU.
    """
    decayed = set(decayed_names(model))
    groups: list[dict[str, Any]] = [
        {"params": [], "weight_decay": spec.train.weight_decay},
        {"params": [], "weight_decay": 0.0},
    ]
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[name not in decayed]["params"].append(parameter)
    maker, options = optimizer_class(spec.train)
    if cuda and spec.train.optimizer in ("adamw_torch", "sgd"):
        options["foreach"] = True  # what torch chooses there; on a CPU, one weight at a time
    made: torch.optim.Optimizer = maker(groups, **options)
    return made


def optimizer_class(settings: TrainSettings) -> tuple[Any, dict[str, Any]]:
    """Return the class and options of `Trainer.get_optimizer_cls_and_kwargs`."""
    options: dict[str, Any] = {"lr": settings.learning_rate}
    if settings.optimizer == "sgd":
        return torch.optim.SGD, options
    if settings.optimizer == "adafactor":
        from transformers.optimization import Adafactor  # which brings peft with it

        return Adafactor, options | {"scale_parameter": False, "relative_step": False}
    options["betas"] = settings.adam_beta1, settings.adam_beta2
    options["eps"] = settings.adam_epsilon
    if settings.optimizer == "adamw_torch_fused":
        options["fused"] = True
    return torch.optim.AdamW, options


def decayed_names(model: nn.Module) -> list[str]:
    """Return the names of `Trainer.get_decay_parameter_names`."""
    find: Any = get_parameter_names
    return list(find(model, [nn.LayerNorm], _NOT_DECAYED))
