"""Pick one token of each row, where a model picks its end tokens.

BART, T5 and their kin classify a text by its last end token, `hidden[ids == end, :]`. How many
rows that gives depends on values, and fake tensors have none; a text has one end token.

torch is imported at the top: only a trace imports this file.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class EndTokens(TorchFunctionMode):
    """Answer for a mask over rows and tokens as if it were true once in each row."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace picking by such a mask, and the check of its counts; let all else pass."""
        if func is torch.unique_consecutive:
            return args[0][:1]  # every row has as many
        if func is torch.Tensor.__getitem__ and _picks_tokens(*args):
            rows = torch.arange(args[0].shape[0])
            return func(args[0], (rows, torch.zeros_like(rows)))
        return func(*args, **(kwargs or {}))


def _picks_tokens(hidden: torch.Tensor, index: Any) -> bool:
    first = index[0] if isinstance(index, tuple) and index else index
    mask = isinstance(first, torch.Tensor) and first.dtype is torch.bool
    return mask and first.shape == hidden.shape[:2] and hidden.dim() == 3
