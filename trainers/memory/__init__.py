"""Predict the memory that a run needs, without weights and without a GPU."""

from trainers.memory.batch_shapes import Rows
from trainers.memory.expect import (
    ExpectedMemory,
    compare,
    expect_aside,
    expect_memory,
    memory_key,
    predict_rows,
    tokenise,
    weights_bytes,
)
from trainers.memory.outlines import Outlined, outline_runs
from trainers.memory.predict import Device, follows_cuda, predict_memory
from trainers.memory.prediction import CATEGORIES, Categories, MemoryPrediction
from trainers.memory.sharding import STAGES, Sharding, States, state_bytes

__all__ = [
    "CATEGORIES",
    "STAGES",
    "Categories",
    "Device",
    "ExpectedMemory",
    "MemoryPrediction",
    "Outlined",
    "Rows",
    "Sharding",
    "States",
    "compare",
    "expect_aside",
    "expect_memory",
    "follows_cuda",
    "memory_key",
    "outline_runs",
    "predict_memory",
    "predict_rows",
    "state_bytes",
    "tokenise",
    "weights_bytes",
]
