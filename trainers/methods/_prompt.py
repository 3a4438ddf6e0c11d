"""Correct peft's prompt learning for padded batches, and refuse settings it cannot handle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trainers.errors import ConfigError
from trainers.models import position_count

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from torch import nn


def adapt_prompt(model: PeftModel) -> None:
    """Check the body's inputs; let a decoder classify its last real token.

    peft gives a decoder embeddings instead of token ids. The decoder cannot see padding in them
    and would classify the last position, a pad token in every row but the longest.
    """
    classifier: Any = model.get_base_model()
    watch = _PromptHooks(
        model.active_peft_config.num_virtual_tokens, position_count(classifier.base_model)
    )
    classifier.base_model.register_forward_pre_hook(watch.enter, with_kwargs=True)
    if hasattr(classifier, "score"):
        classifier.score.register_forward_hook(watch.score)


class _PromptHooks:
    """The hooks, and the mask of the current batch. Bound methods survive a deepcopy."""

    def __init__(self, virtual_tokens: int, positions: int | None) -> None:
        self.virtual_tokens = virtual_tokens
        self.positions = positions
        self.last: torch.Tensor | None = None

    def enter(self, body: nn.Module, args: Any, inputs: dict[str, Any]) -> None:
        """Check the batch that enters the body, and note where each row ends.

        Raises:
            ConfigError: Text and prompt have more tokens than the model has positions, or past
                keys are used with gradient checkpointing, which would drop them silently.
        """
        if inputs.get("past_key_values") is not None and _checkpoints(body):
            raise ConfigError(
                "train.gradient_checkpointing: true does not work with prefix tuning; "
                "allowed: false"
            )
        mask = inputs.get("attention_mask")
        self.last = None
        if mask is None:
            return
        length = mask.shape[1]
        if self.positions is not None and length > self.positions:
            raise ConfigError(
                f"train.max_length: {length - self.virtual_tokens} tokens and "
                f"{self.virtual_tokens} virtual ones are more than the model's "
                f"{self.positions} positions; lower train.max_length or method.virtual_tokens"
            )
        if inputs.get("inputs_embeds") is not None:
            self.last = length - 1 - mask.flip(1).long().argmax(1)

    def score(self, head: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor | None:
        """Move each row's last real position to the end, where the classifier looks."""
        import torch

        if self.last is None:
            return None
        rows = torch.arange(len(output), device=output.device)
        chosen = output[rows, self.last.to(output.device)]
        return torch.cat([output[:, :-1], chosen.unsqueeze(1)], dim=1)


def _checkpoints(body: nn.Module) -> bool:
    return body.training and any(
        getattr(module, "gradient_checkpointing", False) for module in body.modules()
    )
