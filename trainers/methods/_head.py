"""Tell a classifier's head from its pretrained body."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


def head_names(model: PreTrainedModel) -> list[str]:
    """Name the direct children that hold parameters and are not the pretrained body."""
    return [
        name
        for name, child in model.named_children()
        if name != model.base_model_prefix and any(True for _ in child.parameters())
    ]


def freeze_body(model: PreTrainedModel) -> None:
    """Let nothing but the head receive gradients."""
    model.requires_grad_(False)
    for name in head_names(model):
        model.get_submodule(name).requires_grad_(True)


def classifier_in(model: nn.Module) -> PreTrainedModel:
    """Find the classifier inside whatever wraps it."""
    from transformers import PreTrainedModel

    return next(
        module
        for module in model.modules()
        if isinstance(module, PreTrainedModel) and module.base_model is not module
    )
