"""Keep a method's trained tensors in one safetensors file, and read them back exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainers.errors import ModelError, known

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from torch import nn


def save_trained(model: nn.Module, path: Path) -> None:
    """Write every parameter that receives a gradient, under its name in the model."""
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().contiguous() for name, tensor in _trained(model).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata={"format": "pt"})


def load_trained(model: nn.Module, path: Path) -> None:
    """Copy the file's tensors over the parameters that receive a gradient.

    Raises:
        ModelError: The file is missing, or does not hold exactly these tensors.
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
    """Raise a ModelError unless both hold the same names and shapes."""
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
