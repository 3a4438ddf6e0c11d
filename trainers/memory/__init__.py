"""Predict the memory that a run needs, without weights and without a GPU."""

from trainers.memory.batch_shapes import BatchShapes
from trainers.memory.expect import (
    ExpectedMemory,
    compare_with_measured,
    expect_in_background,
    expect_memory,
    fill_token_cache,
    memory_key,
    predict_rows,
    weights_bytes,
)
from trainers.memory.outlines import Outline, outline_runs
from trainers.memory.predict import Device, follows_cuda, predict_memory
from trainers.memory.prediction import CATEGORIES, Categories, MemoryPeaks
from trainers.memory.sharding import STAGES, Sharding, StateBytes, state_bytes

__all__ = [
    "CATEGORIES",
    "STAGES",
    "BatchShapes",
    "Categories",
    "Device",
    "ExpectedMemory",
    "MemoryPeaks",
    "Outline",
    "Sharding",
    "StateBytes",
    "compare_with_measured",
    "expect_in_background",
    "expect_memory",
    "fill_token_cache",
    "follows_cuda",
    "memory_key",
    "outline_runs",
    "predict_memory",
    "predict_rows",
    "state_bytes",
    "weights_bytes",
]
