"""Tell an error that means "no memory" from all others."""

from __future__ import annotations

_SIGNS = (
    "can't allocate memory",  # torch's CPU allocator
    "not enough memory",  # torch's CPU allocator, on Windows and in older versions
    "out of memory",  # CUDA and its libraries
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def missing_memory(error: BaseException) -> str | None:
    """Return in one line what could not be allocated; None where the error is another one.

    Known are torch's OutOfMemoryError, the RuntimeErrors of its allocators and libraries, and
    Python's MemoryError, which is also what C++'s `bad_alloc` becomes.
    """
    import torch

    lines = str(error).strip().splitlines()
    first = lines[0] if lines else type(error).__name__
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return first
    if isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS):
        return first
    return None
