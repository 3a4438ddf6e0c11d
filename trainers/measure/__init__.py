"""Measure a run: seconds, peaks of memory, and the memory that is still free."""

from trainers.measure.allocator import modules_passed_over, no_collection
from trainers.measure.available import free_bytes, holds_in_memory
from trainers.measure.meter import Meter, environment, resolve_precision, revision
from trainers.measure.out_of_memory import dying_words, missing_memory
from trainers.measure.peaks import across_ranks, own_bytes, spare_memory

__all__ = [
    "Meter",
    "across_ranks",
    "dying_words",
    "environment",
    "free_bytes",
    "holds_in_memory",
    "missing_memory",
    "modules_passed_over",
    "no_collection",
    "own_bytes",
    "resolve_precision",
    "revision",
    "spare_memory",
]
