"""Trackers write a study's runs and read them back. Importing this does not import MLflow."""

from __future__ import annotations

from pathlib import Path

from tuner.trackers.address import StoreAddress, locate_store
from tuner.trackers.aggregate import aggregate
from tuner.trackers.base import Curve, Group, Phase, Reader, RunRecord, RunState, Tracker
from tuner.trackers.memory import MemoryTracker
from tuner.trackers.names import entity_name

__all__ = [
    "Curve",
    "Group",
    "MemoryTracker",
    "Phase",
    "Reader",
    "RunRecord",
    "RunState",
    "StoreAddress",
    "Tracker",
    "aggregate",
    "entity_name",
    "locate_store",
    "open_reader",
    "open_tracker",
]


def open_tracker(store: str | Path) -> Tracker:
    """Open the MLflow store in a folder, made on first use, or at a server's URI."""
    from tuner.trackers.mlflow import MlflowTracker

    return MlflowTracker(store)


def open_reader(store: str | Path) -> Reader:
    """Open a store to read it: the folder of a study's runs, or a server's URI."""
    return open_tracker(store)
