"""LoRA: train low-rank updates of frozen weight matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from trainers.methods._peft import PeftMethod, wrap

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class LoRA(PeftMethod):
    """Add `alpha / rank * B A` to the chosen matrices (Hu et al. 2022)."""

    NAMED: ClassVar = {"dora": {"use_dora": True}}

    SPACE: ClassVar = {
        # Hu et al. 2022 take 2e-4 to 5e-4 on RoBERTa; about ten times that of full fine-tuning.
        "train.learning_rate": {"float": [1e-4, 1e-2], "log": True},
        # Hu et al. 2022 find 4 to 64 alike; a lower rank is cheaper.
        "method.rank": {"choice": [4, 8, 16, 32]},
    }

    kind: Literal["lora"] = "lora"
    """File name of the plug-in."""
    rank: int = Field(default=8, ge=1)
    """Inner dimension of the update."""
    alpha: float = Field(default=16, gt=0)
    """Numerator of the update's scale."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout before the update."""
    targets: tuple[str, ...] | Literal["all-linear"] | None = None
    """Ends of module names to adapt; none: peft's choice, the attention query and value."""
    use_rslora: bool = False
    """Scale by alpha / sqrt(rank) instead (Kalajdzievski 2023)."""
    use_dora: bool = False
    """Train a magnitude for each output as well (Liu et al. 2024)."""

    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Freeze the body and add the low-rank updates."""
        settings: dict[str, Any] = {
            "r": self.rank,
            # A whole number stays one in adapter_config.json, as peft's type says.
            "lora_alpha": int(self.alpha) if self.alpha == int(self.alpha) else self.alpha,
            "lora_dropout": self.dropout,
            "use_rslora": self.use_rslora,
            "use_dora": self.use_dora,
        }
        if self.targets is not None:
            all_linear = self.targets == "all-linear"
            settings["target_modules"] = self.targets if all_linear else list(self.targets)
        return wrap(model, "LORA", settings)
