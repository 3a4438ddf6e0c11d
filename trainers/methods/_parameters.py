"""A classifier's parameters: split into head and body, counted, saved and loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainers.contract import ParameterCounts
from trainers.errors import ModelError, known

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from torch import nn
    from transformers import PreTrainedModel


def head_names(model: PreTrainedModel) -> list[str]:
    """Return the names of direct children with parameters other than the pretrained body."""
    return [
        name
        for name, child in model.named_children()
        if name != model.base_model_prefix and any(True for _ in child.parameters())
    ]


def freeze_body(model: PreTrainedModel) -> None:
    """Let only the head receive gradients."""
    model.requires_grad_(False)
    for name in head_names(model):
        model.get_submodule(name).requires_grad_(True)


def classifier_in(model: nn.Module) -> PreTrainedModel:
    """Find the classifier inside its wrappers."""
    from transformers import PreTrainedModel

    return next(
        module
        for module in model.modules()
        if isinstance(module, PreTrainedModel) and module.base_model is not module
    )


def count_parameters(model: nn.Module) -> ParameterCounts:
    """Count scalar parameters; the head is the trained part beside the pretrained body.

    `total` counts all of the model: peft keeps a frozen copy of the head it retrains, and that
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


def save_tensors(model: nn.Module, path: Path) -> None:
    """Write every parameter that receives a gradient, under its name in the model."""
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().contiguous() for name, tensor in _trained(model).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata={"format": "pt"})


def load_tensors(model: nn.Module, path: Path) -> None:
    """Copy the file's tensors over the parameters that receive a gradient.

    Raises:
        ModelError: The file is missing, or has other tensors than these.
    """
    import torch
    from safetensors.torch import load_file

    if not path.is_file():
        raise ModelError(f"{path}: no such file; expected weights saved by the same method")
    stored, expected = load_file(path), _trained(model)
    check_fit(path, stored, expected)
    with torch.no_grad():
        for name, parameter in expected.items():
            parameter.copy_(stored[name])


def check_fit(
    path: Path, stored: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]
) -> None:
    """Raise a ModelError unless both have the same names and shapes."""
    problems = []
    if missing := expected.keys() - stored.keys():
        problems.append(f"missing {known(missing, 3)}")
    if unexpected := stored.keys() - expected.keys():
        problems.append(f"unexpected {known(unexpected, 3)}")
    problems += [
        f"{name} is {list(stored[name].shape)}, the model has {list(tensor.shape)}"
        for name, tensor in expected.items()
        if name in stored and stored[name].shape != tensor.shape
    ][:3]
    if problems:
        raise ModelError(f"{path}: does not fit this method on this model: {'; '.join(problems)}")


def _trained(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def _size(parameter: nn.Parameter) -> int:
    # Under ZeRO-3 a parameter is empty until it is gathered, and has its true size as attribute.
    return int(getattr(parameter, "ds_numel", parameter.numel()))
