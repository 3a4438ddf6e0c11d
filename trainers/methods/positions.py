"""Count the positions of a model: how many tokens a row may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def position_count(model: nn.Module) -> int | None:
    """Return how many positions a model with learned position embeddings has, else None."""
    from torch import nn

    for name, module in model.named_modules():
        learned = name.rpartition(".")[2] in ("position_embeddings", "embed_positions", "wpe")
        if learned and isinstance(module, nn.Embedding):
            # RoBERTa's positions start after its pad token's, OPT's and BART's at an offset.
            padding = module.padding_idx
            offset = getattr(module, "offset", 0 if padding is None else padding + 1)
            return module.num_embeddings - offset
    return None


def too_long(model: str, tokens: int | str, positions: int, virtual: int = 0) -> str:
    """Say that rows have more tokens than a model has positions, some of them a prompt's."""
    room = positions - virtual
    taken = f", {virtual} of them taken by virtual tokens" if virtual else ""
    lower = "; or lower method.virtual_tokens" if virtual else ""
    return (
        f"train.max_length: {model} has {positions} positions{taken}; got rows of {tokens} "
        f"tokens, allowed: at most {room}{lower}"
    )
