"""Stand between a study and its tracker, so that the study never waits for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

from trainers.contract import RunEvent, RunResult, RunSpec
from trainers.errors import ConfigError
from tuner.tracking.base import Curve, Group, Phase, RunRecord, RunState, Tracker
from tuner.tracking.call_file import is_left
from tuner.tracking.calls import CloseGroup, CloseRun, Log, LogModel, OpenGroup, OpenRun
from tuner.tracking.definitions import KeptDefinition
from tuner.tracking.remote_scribe import RemoteScribe
from tuner.tracking.sender import Sender


class Outbox(Tracker):
    """Hands writes to a `Sender`, and reads what the store has been told.

    The identifiers of groups and runs that it returns are its own, and good for its writing
    methods alone.

    Args:
        scribe: Writes to the store.
        name: The store's address, for messages.
        folder: Where calls wait.
    """

    def __init__(self, scribe: RemoteScribe, name: str, folder: Path) -> None:
        self._scribe = scribe
        self._name = name
        self._folder = folder
        self._studies: set[str] = set()
        self._shared: dict[str, str] = {}
        self._sender = Sender(scribe, name, folder)

    def guard(self, check: Callable[[], None]) -> None:
        """Check before every write."""
        self._sender.guard = check

    def open_study(self, name: str, resolved_yaml: str) -> None:
        """Open the study, then make the calls that its dead launchers have left."""
        self._scribe.open_study(name, resolved_yaml)
        self._scribe.make_left(self._name, self._folder, name)
        self._studies.add(name)

    def open_group(self, group: Group, params: Mapping[str, str], *, shared: bool = False) -> str:
        """Make or adopt the group's parent run."""
        key = uuid4().hex
        opening = OpenGroup(id=key, key=key, group=group, params=dict(params), shared=shared)
        if shared:
            self._shared[key] = group.study
            self._make_left(group.study)
        return self._sender.do(opening)

    def open_run(
        self,
        group_id: str,
        spec: RunSpec,
        *,
        adopt: bool,
        extra: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Make, adopt or find a run."""
        key = uuid4().hex
        opening = OpenRun(
            id=key, key=key, group_id=group_id, spec=spec, adopt=adopt, extra=dict(extra)
        )
        return self._sender.do(opening)

    def log(self, run_id: str, events: Sequence[RunEvent]) -> None:
        """Write the metrics and facts of events."""
        if events:
            self._sender.do(Log(id=run_id, events=tuple(events)))

    def close_run(
        self,
        run_id: str,
        *,
        state: RunState,
        reason: str = "",
        result: RunResult | None = None,
        folder: Path | None = None,
    ) -> None:
        """End a run."""
        place = folder.resolve() if folder else None
        self._sender.do(
            CloseRun(id=run_id, state=state, reason=reason, result=result, folder=place)
        )

    def close_group(
        self, group_id: str, *, state: RunState, reason: str = "", metrics: Mapping[str, float]
    ) -> None:
        """End a group's parent run."""
        if group_id in self._shared:
            self._make_left(self._shared[group_id])
        self._sender.do(CloseGroup(id=group_id, state=state, reason=reason, metrics=dict(metrics)))

    def log_model(self, run_id: str, folder: Path) -> None:
        """Keep a folder as the run's model."""
        self._sender.do(LogModel(id=run_id, folder=folder.resolve()))

    def settle(self) -> None:
        """Wait until every call is made, those of launchers that died meanwhile too."""
        self._sender.settle()
        for study in self._studies:
            self._scribe.make_left(self._name, self._folder, study)
        self._scribe.settle()

    def catch_up(self) -> None:
        """Wait until every call is made, or the server is known to be away."""
        self._sender.catch_up()

    def hurry(self) -> None:
        """Wait but some seconds more for a store that does not answer."""
        self._sender.hurry()

    def log_report(self, study: str, folder: Path) -> str:
        """Keep a report."""
        self.catch_up()
        return self._scribe.log_report(study, folder)

    def runs(self, study: str, *, phase: Phase | None = None) -> list[RunRecord]:
        """Read a study's runs, as the store has them."""
        self.catch_up()
        return self._scribe.runs(study, phase)

    def curves(self, run_ids: Sequence[str], names: Sequence[str]) -> Iterator[Curve]:
        """Read the curves of runs, as the store has them."""
        self.catch_up()
        return iter(self._scribe.curves(run_ids, names))

    def artifact(self, run_id: str, name: str) -> Path | None:
        """Return a local path of a file that a run left."""
        self.catch_up()
        return self._scribe.artifact(run_id, name)

    def study_yaml(self, study: str) -> str:
        """Return the resolved YAML that the study was last opened with."""
        return self._scribe.study_yaml(study)

    def definitions(self, study: str) -> list[KeptDefinition]:
        """Return the texts that the study was opened with."""
        return self._scribe.definitions(study)

    def studies(self) -> list[str]:
        """List the studies in the store."""
        return self._scribe.studies()

    def _make_left(self, study: str) -> None:
        """Have what a launcher that died would have written, before what is based on it."""
        if not is_left(self._folder, self._name, study):
            return
        with contextlib.suppress(ConfigError):  # the server is away
            self._scribe.make_left(self._name, self._folder, study)
