"""Count a model's parameters: all, trained, and those of the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainers.contract import ParameterCounts
from trainers.methods._head import classifier_in

if TYPE_CHECKING:
    from torch import nn


def count_parameters(model: nn.Module) -> ParameterCounts:
    """Count scalar parameters; the head is what is trained beside the pretrained body.

    `total` is what the model holds: peft keeps a frozen copy of the head it retrains, and that
    copy is counted too.
    """
    classifier = classifier_in(model)
    body = {id(parameter) for parameter in classifier.base_model.parameters()}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    head = [
        parameter
        for parameter in classifier.parameters()
        if parameter.requires_grad and id(parameter) not in body
    ]
    return ParameterCounts(
        total=sum(_size(parameter) for parameter in model.parameters()),
        trained=sum(_size(parameter) for parameter in trained),
        head=sum(_size(parameter) for parameter in head),
    )


def _size(parameter: nn.Parameter) -> int:
    # Under ZeRO-3 a parameter is empty until it is gathered, and notes its true size.
    return int(getattr(parameter, "ds_numel", parameter.numel()))
