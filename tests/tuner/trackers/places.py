"""Where the trackers under test keep their runs."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient

from tests.tracker_contract import LoggedValue, Place
from tuner.trackers import Tracker, open_server


class ServerPlace(Place):
    """An MLflow server, and the folder of what waits for it."""

    def __init__(self, address: str, outbox: Path) -> None:
        self.address = address
        self.outbox = outbox

    def open(self) -> Tracker:
        """Open the server, as a new launcher would."""
        return open_server(self.address, outbox=self.outbox)

    def history(self, run_id: str, name: str) -> list[LoggedValue]:
        """Ask the server by the stock client."""
        points = MlflowClient(self.address).get_metric_history(run_id, name)
        return [LoggedValue(p.step, p.timestamp / 1000, p.value) for p in points]
