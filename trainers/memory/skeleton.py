"""Build a run's model without weights, and give it fake weights.

torch is imported at the top: only a trace imports this file.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn

from trainers.contract import RunSpec
from trainers.errors import CannotTrace, ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_WITHOUT_VALUES = re.compile(r"meta (tensor|kernel)|register_meta", re.IGNORECASE)
"""Torch's errors about the values of a tensor that has none."""


def build(spec: RunSpec, labels: int) -> nn.Module:
    """Return the model that `train` would train, on the meta device: shapes and no bytes.

    Raises:
        TunerError: No such model, or a method that cannot be applied to it.
    """
    return apply_method(spec, outline(spec, labels))


def apply_method(spec: RunSpec, model: PreTrainedModel) -> nn.Module:
    """Apply a run's method to an outline, which is changed in place.

    Raises:
        TunerError: The method cannot be applied to it.
    """
    try:
        with _without_values():
            return spec.method.apply(model)
    except (RuntimeError, ConfigError) as error:
        if not _WITHOUT_VALUES.search(str(error.__cause__ or error)):
            raise
        raise CannotTrace(
            f"method: {spec.method.kind} on {spec.model.name} cannot be traced: it is made from "
            "the values of weights"
        ) from error


def outline(spec: RunSpec, labels: int) -> PreTrainedModel:
    """Return the model without the method, on the meta device.

    Raises:
        TunerError: No such model.
    """
    names = tuple(str(index) for index in range(labels))
    with _without_values():
        return spec.model.outline(names, spec.train.attention)


@contextmanager
def _without_values() -> Iterator[None]:
    """Make tensors without bytes, without drawing from the caller's generator or warnings."""
    with (
        torch.random.fork_rng(devices=[]),
        torch.device("meta"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # the run itself will show them
        yield


def materialize(model: nn.Module) -> None:
    """Replace parameters and buffers by fresh tensors; tied ones stay tied.

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
