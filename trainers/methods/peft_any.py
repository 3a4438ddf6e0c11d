"""Any method of peft, by the name of its type and with the fields of its config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from trainers.methods._peft import PeftMethod, wrap

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class PeftAny(PeftMethod):
    """Any peft type with its config; `docs/peft-types.md` lists the types that work."""

    TARGETS: ClassVar = "config.target_modules"
    NAMED: ClassVar = {"loha": {"type": "LOHA"}, "vera": {"type": "VERA"}}

    kind: Literal["peft_any"] = "peft_any"
    """File name of the plug-in."""
    type: str
    """Name of the peft type, such as LOHA."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Fields of that type's config, under peft's names."""

    @property
    def checkpointing(self) -> bool:
        """Not with prefix tuning, whose prefixes transformers would drop."""
        return self.type.upper() != "PREFIX_TUNING"

    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Freeze the body and let peft add its adapter."""
        return wrap(model, self.type, self.config, targets=self.TARGETS)
