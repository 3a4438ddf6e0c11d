"""Errors that mean "no memory", and those that do not."""

from __future__ import annotations

import pytest
import torch

from trainers.out_of_memory import missing_memory


def test_the_allocators_own_refusal_is_known() -> None:
    """A tensor that no machine holds."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55, dtype=torch.uint8)
    reason = missing_memory(caught.value)
    assert reason is not None
    assert "can't allocate memory" in reason
    assert "\n" not in reason


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore."),
        RuntimeError("[enforce fail] . DefaultCPUAllocator: not enough memory: you tried"),
        RuntimeError("CUDA error: out of memory"),
        MemoryError(),
    ],
)
def test_each_way_of_saying_it_is_known(error: Exception) -> None:
    """In one line, whatever the message."""
    reason = missing_memory(error)
    assert reason
    assert "\n" not in reason


def test_other_errors_are_others() -> None:
    """A shape that does not fit, an overflow, a user's mistake."""
    with pytest.raises(RuntimeError) as caught:
        torch.ones(2, 3) @ torch.ones(2, 3)
    assert missing_memory(caught.value) is None
    assert missing_memory(ValueError("out of memory")) is None
