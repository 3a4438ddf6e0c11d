"""Replace some of torch's functions in a trace: as on CUDA, or without tensors' values.

- A CPU's kernel of scaled dot product attention has no dropout and no bias with a gradient;
  torch then falls back to the formula and keeps the attention matrices. CUDA's memory-efficient
  kernel does not need them.
- BART, T5 and the like classify a text by its last end token, `hidden[ids == end, :]`. How many
  rows that gives depends on values; a text has one end token.
- Layerdrop and some adapters draw one number to decide whether a part is left out. At its peak
  a run leaves nothing out.

torch is imported at the top: only a trace imports this file.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode


class CudaAttention(TorchFunctionMode):
    """Send the call to the memory-efficient kernel's operator, whatever the tensors' device."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace scaled dot product attention, and nothing else."""
        if func is scaled_dot_product_attention:
            return _efficient(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


class ByValue(TorchFunctionMode):
    """Assume that each row has one end token, and that a draw of one number is 1."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace indexing by such a mask, the check of its counts and such a draw."""
        if func is torch.unique_consecutive:
            return args[0][:1]  # every row has one
        if func is torch.Tensor.__getitem__ and _picks_tokens(*args):
            rows = torch.arange(args[0].shape[0])
            return func(args[0], (rows, torch.zeros_like(rows)))
        result = func(*args, **(kwargs or {}))
        if func is torch.rand and not kwargs and result.dim() < 2 and result.numel() == 1:
            return torch.tensor(1.0).reshape(result.shape)  # a constant, with a value
        return result


def _efficient(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    **options: Any,
) -> torch.Tensor:
    """Attend as `_scaled_dot_product_efficient_attention` does."""
    if options.get("enable_gqa"):
        groups = query.shape[1] // key.shape[1]
        key, value = (t.repeat_interleave(groups, 1) for t in (key, value))
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        query, key, value = (t.to(dtype) for t in (query, key, value))
    bias = None
    if attn_mask is not None:
        bias = torch.zeros(attn_mask.shape, dtype=query.dtype)
        bias = bias.expand(query.shape[0], query.shape[1], query.shape[2], key.shape[2])
    attend: Any = torch.ops.aten._scaled_dot_product_efficient_attention
    causal = bool(options.get("is_causal"))
    result: torch.Tensor = attend(
        query, key, value, bias, torch.is_grad_enabled(), dropout_p, causal
    )[0]
    return result


def _picks_tokens(hidden: torch.Tensor, index: Any) -> bool:
    first = index[0] if isinstance(index, tuple) and index else index
    mask = isinstance(first, torch.Tensor) and first.dtype is torch.bool
    return mask and first.shape == hidden.shape[:2] and hidden.dim() == 3
