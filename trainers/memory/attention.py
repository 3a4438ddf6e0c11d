"""Let scaled dot product attention allocate as on a CUDA device.

A CPU's kernel knows no dropout and no bias with a gradient; torch then falls back to the formula
and keeps the attention matrices. CUDA's memory-efficient kernel does without them.

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
        """Replace scaled dot product attention, and let everything else pass."""
        if func is scaled_dot_product_attention:
            return _efficient(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


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
