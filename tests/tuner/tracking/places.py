"""Where the trackers under test keep their runs."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient

from tests.tracker_contract import LoggedValue, Place
from tuner.tracking import Tracker, open_server
from tuner.tracking.calls import Call, OpenGroup, OpenRun
from tuner.tracking.outbox import Outbox
from tuner.tracking.sender import Sender


class _Told(Sender):
    """Waits for each call, and returns the store's identifiers."""

    def do(self, call: Call) -> str:
        """Make a call at once; return the store's identifier of its group or run."""
        super().do(call)
        self.catch_up()
        stored = self._ids.get(call.id, call.id)
        if isinstance(call, OpenGroup | OpenRun):
            self._openings[stored] = call.model_copy(update={"id": stored})
        return stored


class ServerPlace(Place):
    """An MLflow server, and the folder of what waits for it."""

    def __init__(self, address: str, outbox: Path, *, told: bool = False) -> None:
        self.address = address
        self.outbox = outbox
        self.told = told

    def open(self) -> Tracker:
        """Open the server, as a new launcher would."""
        tracker = open_server(self.address, outbox=self.outbox)
        if self.told:
            assert isinstance(tracker, Outbox)
            tracker._sender.__class__ = _Told
        return tracker

    def history(self, run_id: str, name: str) -> list[LoggedValue]:
        """Ask the server by the stock client."""
        points = MlflowClient(self.address).get_metric_history(run_id, name)
        return [LoggedValue(p.step, p.timestamp / 1000, p.value) for p in points]
