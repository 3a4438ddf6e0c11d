"""Measure a run: seconds, peaks of memory, and the free memory."""

from trainers.measure.allocator import gc_disabled, gc_frozen
from trainers.measure.available import free_bytes, holds_in_memory
from trainers.measure.meter import Meter, environment, resolve_precision, revision
from trainers.measure.out_of_memory import missing_memory, out_of_memory_line
from trainers.measure.peaks import across_ranks, private_bytes, spare_memory

__all__ = [
    "Meter",
    "across_ranks",
    "environment",
    "free_bytes",
    "gc_disabled",
    "gc_frozen",
    "holds_in_memory",
    "missing_memory",
    "out_of_memory_line",
    "private_bytes",
    "resolve_precision",
    "revision",
    "spare_memory",
]
