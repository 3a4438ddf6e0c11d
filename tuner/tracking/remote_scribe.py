"""Write to a store and read it through the process that has MLflow loaded."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tuner.tracking.base import Curve, Phase, RunRecord
from tuner.tracking.calls import Call
from tuner.tracking.definitions import KeptDefinition
from tuner.tracking.tracking_process import tracking_process


class RemoteScribe:
    """Writes to a store and reads it, by calls to the tracking process. Thread-safe.

    Args:
        store: A folder, or the address of an MLflow server.

    Raises:
        ConfigError: The store cannot be opened.
    """

    def __init__(self, store: str | Path) -> None:
        self._process = tracking_process()
        self._number = self._process.open(store)
        weakref.finalize(self, self._process.close, self._number)

    def _ask(self, method: str, *arguments: Any) -> Any:
        return self._process.ask(self._number, method, *arguments)

    def open_study(self, name: str, resolved_yaml: str) -> None:
        """Make or open a study."""
        self._ask("open_study", name, resolved_yaml)

    def make(self, call: Call, ids: dict[str, str]) -> str:
        """Make a call; return the store's id of its group or run.

        Args:
            call: The call.
            ids: The store's ids of the group and the run, by those that the call has.

        Raises:
            ServerAway: The server cannot be reached.
            StoreRefused: The store does not take it.
        """
        made: str = self._ask("make", call, ids)
        return made

    def make_left(self, name: str, folder: Path, study: str) -> None:
        """Make what dead launchers of a study have left.

        Raises:
            ConfigError: The server is away.
        """
        self._ask("make_left", name, folder.resolve(), study)

    def settle(self) -> None:
        """Bring back what was deleted or renamed meanwhile."""
        self._ask("settle")

    def log_report(self, study: str, folder: Path) -> str:
        """Keep a report; return the id of its run."""
        run_id: str = self._ask("log_report", study, folder.resolve())
        return run_id

    def runs(self, study: str, phase: Phase | None) -> list[RunRecord]:
        """Read a study's runs."""
        found: list[RunRecord] = self._ask("runs", study, phase)
        return found

    def curves(self, run_ids: Sequence[str], names: Sequence[str]) -> list[Curve]:
        """Read the curves of runs."""
        found: list[Curve] = self._ask("curves", list(run_ids), list(names))
        return found

    def artifact(self, run_id: str, name: str) -> Path | None:
        """Return a local path of a file that a run left."""
        path: Path | None = self._ask("artifact", run_id, name)
        return path

    def study_yaml(self, study: str) -> str:
        """Return the resolved YAML of a study."""
        text: str = self._ask("study_yaml", study)
        return text

    def definitions(self, study: str) -> list[KeptDefinition]:
        """Return the texts that the study was opened with."""
        found: list[KeptDefinition] = self._ask("definitions", study)
        return found

    def studies(self) -> list[str]:
        """List the studies in the store."""
        found: list[str] = self._ask("studies")
        return found
