"""Errors that mean "no memory", and those that do not."""

from __future__ import annotations

import errno

import pytest
import torch

from trainers.measure.out_of_memory import missing_memory, out_of_memory_line


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
        MemoryError("std::bad_alloc"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        RuntimeError("could not create a primitive"),
        ImportError("libx.so: cannot allocate memory in static TLS block"),
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
    assert missing_memory(OSError(errno.ENOSPC, "No space left on device")) is None


@pytest.mark.parametrize(
    "line",
    [
        "memory allocation of 2048 bytes failed",
        "  what():  std::bad_alloc",
        "libgomp: Thread creation failed: Resource temporarily unavailable",
        "OpenBLAS error: Memory allocation still failed after 10 retries, giving up.",
    ],
)
def test_what_a_process_says_as_it_dies_is_known(line: str) -> None:
    """Between other lines, of which the one that says it is returned."""
    assert (
        out_of_memory_line(f"Some weights were not used\n{line}\nstack backtrace:\n")
        == line.strip()
    )


def test_other_last_words_are_others() -> None:
    """A segmentation fault, or nothing at all."""
    assert out_of_memory_line("Fatal Python error: Segmentation fault\n") is None
    assert out_of_memory_line("") is None
