"""Build a run's model without weights, and give it fake ones.

torch is imported at the top: only a trace imports this file.
"""

from __future__ import annotations

import warnings

import torch
from torch import nn

from trainers.contract import RunSpec
from trainers.errors import ConfigError, ModelError


def build(spec: RunSpec, labels: int) -> nn.Module:
    """Return what `train` would train, on the meta device: shapes and no bytes.

    Raises:
        TunerError: No such model, or a method that cannot be applied to it.
    """
    try:
        return _build(spec, tuple(str(index) for index in range(labels)))
    except (RuntimeError, ConfigError) as error:
        if "meta" not in str(error.__cause__ or error).lower():  # torch's word for no values
            raise
        raise ModelError(
            f"method: {spec.method.kind} on {spec.model.name} cannot be traced: it is made from "
            "the values of weights"
        ) from error


def _build(spec: RunSpec, labels: tuple[str, ...]) -> nn.Module:
    with (
        torch.random.fork_rng(devices=[]),
        torch.device("meta"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # the run itself will say them
        return spec.method.apply(spec.model.outline(labels, spec.train.attention))


def materialize(model: nn.Module) -> None:
    """Put fresh tensors in the place of parameters and buffers; tied ones stay tied.

    Called under a FakeTensorMode, the tensors take no memory and can be computed with.
    """
    fresh: dict[int, torch.Tensor] = {}

    def replaced(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in fresh:
            new = torch.empty(tensor.shape, dtype=tensor.dtype)
            if isinstance(tensor, nn.Parameter):
                new = nn.Parameter(new, requires_grad=tensor.requires_grad)
            fresh[id(tensor)] = new
        return fresh[id(tensor)]

    for module in model.modules():
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is not None:
                    held[name] = replaced(tensor)  # type: ignore[assignment]  # same kind
