"""Predict what memory a run needs, without weights and without a GPU."""

from trainers.memory.predict import predict_memory
from trainers.memory.prediction import CATEGORIES, Categories, MemoryPrediction, Rows

__all__ = ["CATEGORIES", "Categories", "MemoryPrediction", "Rows", "predict_memory"]
