"""Make a run once, though a server's reply that it was made may be lost."""

from __future__ import annotations

from collections.abc import Callable

from mlflow import MlflowClient
from mlflow.entities import RunInfo

from tuner.tracking.tags import KEY


class Creation:
    """Makes runs by the key of the call that wants them; MLflow itself makes one at each asking.

    Not locked: the tracker that owns it does that.
    """

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self._begun: set[str] = set()
        self._doubtful: set[str] = set()

    def make(self, key: str, experiment_id: str, create: Callable[[], RunInfo]) -> RunInfo:
        """Return the key's run: the one that is there, or a new one.

        Args:
            key: Empty where the call will not be made again.
            experiment_id: Where the run belongs.
            create: Makes the run, with the tag `KEY`, and returns it.
        """
        if not key:
            return create()
        if key in self._begun:
            for found in self._found(key, experiment_id):
                return found
            self._doubtful.add(key)
        self._begun.add(key)
        return create()

    def remove_twins(self, key: str, experiment_id: str, run_id: str) -> None:
        """Delete other runs of the key.

        A server that hung may carry out the first request after it has answered the second.
        """
        if key in self._doubtful:
            for twin in self._found(key, experiment_id):
                if twin.run_id != run_id:
                    self._client.delete_run(twin.run_id)
            self._doubtful.discard(key)

    def _found(self, key: str, experiment_id: str) -> list[RunInfo]:
        runs = self._client.search_runs([experiment_id], f"tags.`{KEY}` = '{key}'")
        return [run.info for run in runs]
