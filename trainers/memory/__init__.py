"""Predict what memory a run needs, without weights and without a GPU."""

from trainers.memory.predict import Device, follows_cuda, predict_memory
from trainers.memory.prediction import CATEGORIES, Categories, MemoryPrediction, Rows

__all__ = [
    "CATEGORIES",
    "Categories",
    "Device",
    "MemoryPrediction",
    "Rows",
    "follows_cuda",
    "predict_memory",
]
