"""Recognise errors that mean "out of memory", also in the last output of a process."""

from __future__ import annotations

import errno

_SIGNS = (
    "can't allocate memory",  # torch's CPU allocator
    "not enough memory",  # torch's CPU allocator, on Windows and in older versions
    "out of memory",  # CUDA and its libraries
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "bad_alloc",  # C++
    "Cannot allocate memory",  # C's text for ENOMEM, in mmap and at loading a library
    "cannot allocate memory",
    "can't start new thread",  # Python, without memory for a stack
    "could not create a memory",  # oneDNN, which does not say why
    "could not create a primitive",
)
_DYING_WORDS = (
    *_SIGNS,
    "memory allocation of ",  # Rust: tokenizers, safetensors
    "MemoryError",
    "Thread creation failed",  # OpenMP
    "Memory allocation still failed",  # OpenBLAS
    "failed to map segment",  # the loader of libraries
)


def missing_memory(error: BaseException) -> str | None:
    """Return one line about memory that could not be allocated; None for another error.

    Known are torch's OutOfMemoryError, the RuntimeErrors of its allocators and libraries, Python's
    MemoryError, which is also what C++'s `bad_alloc` becomes, and the system's ENOMEM.
    """
    import torch

    lines = str(error).strip().splitlines()
    first = lines[0] if lines else type(error).__name__
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return first
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return first
    if isinstance(error, (RuntimeError, ImportError)) and any(s in str(error) for s in _SIGNS):
        return first
    return None


def out_of_memory_line(printed: str) -> str | None:
    """Return the line of a process's output that says that memory ran out, or None.

    Args:
        printed: Its last output. Code that gets no memory may abort: Rust always,
            C++ where the exception is not caught, OpenMP without a thread's stack.
    """
    lines = (line.strip() for line in printed.splitlines())
    return next((line for line in lines if any(sign in line for sign in _DYING_WORDS)), None)
