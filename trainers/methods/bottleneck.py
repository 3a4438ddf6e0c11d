"""Bottleneck adapters: train small networks inside every layer of a frozen body."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from trainers.interfaces import Method
from trainers.methods._parameters import freeze_body, load_tensors, save_tensors

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

_FILE = "bottleneck.safetensors"


def _default_scaling(data: dict[str, Any]) -> float:
    return 4.0 if data.get("variant") == "parallel" else 1.0


class Bottleneck(Method):
    """Add `scaling * up(non_linearity(down(x)))` in every layer.

    - houlsby: to the output of attention and of the feed-forward network, before each is added
      to the residual (Houlsby et al. 2019).
    - pfeiffer: once a layer, after the feed-forward network's residual sum and layer norm
      (Pfeiffer et al. 2021, as He et al. 2022 place it). Where norms come first, as in Llama,
      nothing follows that sum, so it is added to the feed-forward network's output.
    - parallel: to the feed-forward network's output, computed from its input and scaled by 4
      (He et al. 2022).

    The up projection starts at zero: at first the model's output is that of the pretrained one.
    """

    NAMED: ClassVar = {
        variant: {"variant": variant} for variant in ("houlsby", "pfeiffer", "parallel")
    }

    SPACE: ClassVar = {
        # Houlsby et al. 2019 try 3e-5, 3e-4, 3e-3; Pfeiffer et al. 2021 take 1e-4.
        "train.learning_rate": {"float": [1e-4, 1e-2], "log": True},
        # Pfeiffer et al. 2021 try 2, 16, 64; Houlsby et al. 2019 widths of 8 to 256 in 1,024.
        "method.reduction_factor": {"choice": [2, 16, 64]},
    }

    kind: Literal["bottleneck"] = "bottleneck"
    """File name of the plug-in."""
    variant: Literal["houlsby", "pfeiffer", "parallel"] = "pfeiffer"
    """Places and inputs of the adapters."""
    reduction_factor: int = Field(default=16, ge=1)
    """Hidden size of the model divided by that of the adapter."""
    non_linearity: Literal["relu", "gelu", "silu", "tanh"] = "relu"
    """Function between the two projections."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout inside the adapter, before the up projection."""
    scaling: float = Field(default_factory=_default_scaling, gt=0)
    """Factor on the adapter's output; 4 for parallel, else 1."""

    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Freeze the body and insert the adapters.

        Raises:
            ConfigError: The model's layers have none of the known shapes.
        """
        from trainers.methods._adapter import insert

        freeze_body(model)
        insert(model, self)
        return model

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write adapters and head."""
        save_tensors(model, folder / _FILE)

    def load(self, model: nn.Module, folder: Path) -> None:
        """Read adapters and head."""
        load_tensors(model, folder / _FILE)
