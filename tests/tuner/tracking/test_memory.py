"""The memory tracker keeps the tracker's contract."""

from __future__ import annotations

import pytest

from tests.tracker_contract import LoggedValue, Place, TrackerContract
from tuner.tracking import MemoryTracker, Tracker
from tuner.tracking.memory import MemoryStore


class _MemoryPlace(Place):
    def __init__(self) -> None:
        self.store = MemoryStore()

    def open(self) -> Tracker:
        return MemoryTracker(self.store)

    def history(self, run_id: str, name: str) -> list[LoggedValue]:
        points = [point for point in self.store.runs[run_id].points if point.name == name]
        return [LoggedValue(p.step, p.milliseconds / 1000, p.value) for p in points]


class TestMemoryTracker(TrackerContract):
    """The contract, in memory."""

    @pytest.fixture
    def place(self) -> Place:
        """Return an empty store."""
        return _MemoryPlace()
