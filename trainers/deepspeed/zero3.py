"""Parameters that ZeRO-3 partitions among the ranks: partition, copy, restore, gather."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


def partition_parameters(model: nn.Module, config: Mapping[str, Any]) -> None:
    """Partition a model that is whole in host memory; a rank's device never holds all of it.

    Args:
        model: Changed in place.
        config: DeepSpeed's, with batch and precision filled in.
    """
    import deepspeed

    deepspeed.zero.Init(module=model, config_dict_or_path=dict(config))


def local_partition(parameter: nn.Parameter) -> torch.Tensor:
    """Return this rank's part of a partitioned parameter, or all of another one."""
    part: torch.Tensor = getattr(parameter, "ds_tensor", parameter)
    return part.detach()


def restore_partition(parameter: nn.Parameter, held: torch.Tensor) -> None:
    """Copy an earlier `local_partition` over this rank's part."""
    if hasattr(parameter, "ds_tensor"):
        divided: Any = parameter
        divided.partition()  # drop the gathered one, if any: it is gathered anew when needed
    local_partition(parameter).copy_(held)


def gather_trained(model: nn.Module, engine: Any, *, keep: bool) -> None:
    """Gather the trained parameters into host memory, one after the other, to save them.

    Every rank must call it, after the last forward pass: frozen parameters stay partitioned, and
    nothing gathers them any more. A rank that keeps the trained ones can call modules that have
    no others; peft calls a prompt's encoder to save the prompt.

    Args:
        model: A partitioned model.
        engine: DeepSpeed's, which is destroyed: with its hooks, a module called on one rank
            would wait for the others.
        keep: Whether this rank keeps them; on the others they are empty.
    """
    import deepspeed

    engine.destroy()
    divided = [p for p in model.parameters() if p.requires_grad and hasattr(p, "ds_tensor")]
    whole: list[tuple[nn.Parameter, torch.Tensor]] = []
    for parameter in divided:
        with deepspeed.zero.GatheredParameters([parameter]):
            if keep:
                whole.append((parameter, parameter.detach().to("cpu", copy=True)))
    for parameter, tensor in whole:
        parameter.data = tensor
