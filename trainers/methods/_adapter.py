"""The bottleneck adapter's module, and its places in each architecture.

torch is imported at the top: only `Bottleneck.apply` imports this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from trainers.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from trainers.methods.bottleneck import Bottleneck

_ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}


@dataclass(frozen=True)
class _Shape:
    """Paths inside a layer. An adapter acts on the output of the module there."""

    attention: str
    """Last module of attention, before its residual sum."""
    feed_forward: str
    """Last module of the feed-forward network, before its residual sum."""
    layer: str
    """Last module of the layer: after the last norm where norms come last."""
    parallel: str
    """Module that gets the feed-forward network's input."""
    parallel_reads_residual: bool = False
    """`parallel` adds its second argument, the network's input, to the network's output."""


_SHAPES = (
    # BERT, RoBERTa, XLM-R, ELECTRA, CamemBERT, DeBERTa: output = norm(dropout(dense(x)) + y)
    _Shape(
        attention="attention.output.dropout",
        feed_forward="output.dropout",
        layer="output",
        parallel="output",
        parallel_reads_residual=True,
    ),
    # DistilBERT
    _Shape(
        attention="attention.out_lin",
        feed_forward="ffn",
        layer="output_layer_norm",
        parallel="ffn",
    ),
    # Llama, Mistral, Qwen, Gemma
    _Shape(attention="self_attn.o_proj", feed_forward="mlp", layer="mlp", parallel="mlp"),
)


class Adapter(nn.Module):
    """Down projection, non-linearity, up projection.

    The methods are hooks. As bound methods of the adapter they follow it through a deepcopy, and
    they act inside the layer, so attention implementations and checkpointing do not matter.
    """

    def __init__(self, width: int, method: Bottleneck) -> None:
        super().__init__()
        size = max(1, width // method.reduction_factor)
        self.down = nn.Linear(width, size)
        self.activation = _ACTIVATIONS[method.non_linearity]()
        self.dropout = nn.Dropout(method.dropout)
        self.up = nn.Linear(size, width)
        self.scaling = method.scaling
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return the term to add."""
        inner = self.dropout(self.activation(self.down(states)))
        added: torch.Tensor = self.scaling * self.up(inner)
        return added

    def after(self, module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:
        """Add to a module's output a term computed from it."""
        added: torch.Tensor = self(output)
        return output + added

    def beside(self, module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:
        """Add to a module's output a term computed from its input."""
        added: torch.Tensor = self(args[0])
        return output + added

    def into_residual(self, module: nn.Module, args: Any) -> Any:
        """Add to the residual, a module's second argument, a term computed from it."""
        states, residual = args
        return states, residual + self(residual)


def insert(model: PreTrainedModel, method: Bottleneck) -> None:
    """Insert adapters into every layer of the body.

    Raises:
        ConfigError: No layer has a known shape.
    """
    width = model.config.hidden_size
    found = False
    for layer, shape in _layers(model.base_model):
        found = True
        if method.variant == "houlsby":
            attention = _add(layer, "adapter_attention", Adapter(width, method))
            feed_forward = _add(layer, "adapter_feed_forward", Adapter(width, method))
            layer.get_submodule(shape.attention).register_forward_hook(attention.after)
            layer.get_submodule(shape.feed_forward).register_forward_hook(feed_forward.after)
            continue
        adapter = _add(layer, "adapter", Adapter(width, method))
        if method.variant == "pfeiffer":
            layer.get_submodule(shape.layer).register_forward_hook(adapter.after)
        elif shape.parallel_reads_residual:
            place = layer.get_submodule(shape.parallel)
            place.register_forward_pre_hook(adapter.into_residual)
        else:
            layer.get_submodule(shape.parallel).register_forward_hook(adapter.beside)
    if not found:
        raise ConfigError(
            f"method.kind: bottleneck does not fit the layers of {type(model).__name__}; "
            "allowed: layers like those of BERT, DistilBERT and Llama"
        )


def _add(layer: nn.Module, name: str, adapter: Adapter) -> Adapter:
    reference = next(layer.parameters())
    layer.add_module(name, adapter.to(reference.device, torch.float32))
    return adapter


def _layers(body: nn.Module) -> Iterator[tuple[nn.Module, _Shape]]:
    for stack in body.modules():
        if isinstance(stack, nn.ModuleList):
            for layer in stack:
                shape = next((shape for shape in _SHAPES if _fits(layer, shape)), None)
                if shape is not None:
                    yield layer, shape


def _fits(layer: nn.Module, shape: _Shape) -> bool:
    names = {name for name, _ in layer.named_modules()}
    return {shape.attention, shape.feed_forward, shape.layer, shape.parallel} <= names
