"""Answer what a model asks about the values of its tensors, which fake ones do not have.

- BART, T5 and their kin classify a text by its last end token, `hidden[ids == end, :]`. How many
  rows that gives depends on values; a text has one end token.
- Layerdrop and some adapters draw one number to decide whether a part is left out. At its
  fullest a run leaves nothing out.

torch is imported at the top: only a trace imports this file.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class ByValue(TorchFunctionMode):
    """Answer as if each row had one end token, and as if one draw were always 1."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace picking by such a mask, the check of its counts and such a draw alone."""
        if func is torch.unique_consecutive:
            return args[0][:1]  # every row has as many
        if func is torch.Tensor.__getitem__ and _picks_tokens(*args):
            rows = torch.arange(args[0].shape[0])
            return func(args[0], (rows, torch.zeros_like(rows)))
        result = func(*args, **(kwargs or {}))
        if func is torch.rand and not kwargs and result.dim() < 2 and result.numel() == 1:
            return torch.tensor(1.0).reshape(result.shape)  # a constant, which a fake may know
        return result


def _picks_tokens(hidden: torch.Tensor, index: Any) -> bool:
    first = index[0] if isinstance(index, tuple) and index else index
    mask = isinstance(first, torch.Tensor) and first.dtype is torch.bool
    return mask and first.shape == hidden.shape[:2] and hidden.dim() == 3
