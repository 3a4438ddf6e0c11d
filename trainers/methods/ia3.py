"""IA3: train vectors that rescale keys, values and feed-forward activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import model_validator

from trainers.errors import ConfigError, known, shown
from trainers.methods._peft import PeftMethod, wrap

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class IA3(PeftMethod):
    """Rescale activations by learned vectors that start at one (Liu et al. 2022).

    On BERT and RoBERTa peft's default also rescales the input of the attention's output layer,
    because its name ends like the feed-forward's.
    """

    SPACE: ClassVar = {
        # Liu et al. 2022 take 3e-3.
        "train.learning_rate": {"float": [5e-4, 5e-2], "log": True},
    }

    kind: Literal["ia3"] = "ia3"
    """File name of the plug-in."""
    targets: tuple[str, ...] | None = None
    """Ends of module names to rescale; none: peft's choice for the architecture."""
    feed_forward: tuple[str, ...] | None = None
    """Those of `targets` whose input, not output, is rescaled; none with none in `targets`."""

    @model_validator(mode="after")
    def _feed_forward_is_a_target(self) -> Self:
        targets = self.targets or ()
        for name in self.feed_forward or ():
            if name not in targets:
                raise ConfigError(
                    f"feed_forward: got {shown(name)}, which must be among targets; "
                    f"targets: {known(targets) or 'none'}"
                )
        return self

    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Freeze the body and add the vectors."""
        settings: dict[str, list[str]] = {}
        if self.targets is not None:
            settings["target_modules"] = list(self.targets)
            settings["feedforward_modules"] = list(self.feed_forward or ())
        return wrap(model, "IA3", settings)
