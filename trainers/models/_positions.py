"""Count the positions of a model: the most tokens of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def position_count(model: nn.Module) -> int | None:
    """Return the number of a model's learned position embeddings; None: it has none."""
    from torch import nn

    for name, module in model.named_modules():
        learned = name.rpartition(".")[2] in ("position_embeddings", "embed_positions", "wpe")
        if learned and isinstance(module, nn.Embedding):
            # RoBERTa's positions start after its pad token's, OPT's and BART's at an offset.
            padding = module.padding_idx
            offset = getattr(module, "offset", 0 if padding is None else padding + 1)
            return module.num_embeddings - offset
    return None


def too_long_message(model: str, tokens: int | str, positions: int, virtual: int = 0) -> str:
    """Return the message that rows, with a prompt, have more tokens than a model has positions."""
    also = f" and {virtual} virtual tokens" if virtual else ""
    together = " together" if virtual else ""
    return (
        f"train.max_length: {model} has {positions} positions; got rows of {tokens} tokens{also}, "
        f"allowed: at most {positions}{together}"
    )


def too_many_virtual_message(model: str, tokens: int, positions: int, virtual: int) -> str:
    """Return the message that a prompt takes more positions than rows leave."""
    return (
        f"got {virtual}; {model} has {positions} positions and rows of up to {tokens} tokens; "
        f"allowed: at most {positions - tokens}, or a lower train.max_length"
    )
