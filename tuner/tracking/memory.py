"""Track in memory: for tests, for `--no-tracking`, and the contract's null object."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trainers.contract import RunSpec
from tuner.tracking.base import Curve, Group, Phase, RunRecord, RunState
from tuner.tracking.curves import Point, make_curves, true_curves
from tuner.tracking.definitions import KeptDefinition, definition_id
from tuner.tracking.faults import UnknownStudy
from tuner.tracking.ledger import Line, MetricValue
from tuner.tracking.lifecycle import End, LifecycleTracker
from tuner.tracking.names import true_metrics


@dataclass
class StoredRun:
    """A run, or a group's parent, as it is held."""

    group: Group
    start: float
    params: dict[str, str]
    parent_id: str | None = None
    spec: RunSpec | None = None
    points: dict[MetricValue, None] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    state: RunState = "running"
    reason: str = ""
    end: float | None = None
    files: dict[str, Path] = field(default_factory=dict)


@dataclass
class MemoryStore:
    """What outlives a tracker: a second one may be given the same store."""

    studies: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, dict[str, KeptDefinition]] = field(default_factory=dict)
    """By study and id."""
    runs: dict[str, StoredRun] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)
    """The identifier of each study's report."""
    report_files: dict[str, dict[str, Path]] = field(default_factory=dict)
    """The files of each report, by identifier."""


class MemoryTracker(LifecycleTracker):
    """Holds everything in dicts and forgets it with the process. Files stay where they are."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        super().__init__()
        self.store = store if store is not None else MemoryStore()

    def log_model(self, run_id: str, folder: Path) -> None:
        """Remember where the model is."""
        with self._lock:
            self.store.runs[run_id].files.setdefault("model", folder)

    def log_report(self, study: str, folder: Path) -> str:
        """Remember where the files are."""
        self.study_yaml(study)
        files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
        with self._lock:
            run_id = self.store.reports.setdefault(study, uuid.uuid4().hex)
            self.store.report_files[run_id] = files
        return run_id

    def curves(self, run_ids: Sequence[str], names: Sequence[str]) -> Iterator[Curve]:
        """Return the curves of runs."""
        points = defaultdict(list)
        with self._lock:
            for run_id in run_ids:
                run = self.store.runs.get(run_id)
                for point in run.points if run else ():
                    found = Point(point.step, point.milliseconds, point.value)
                    points[run_id, point.name].append(found)
        return true_curves(names, lambda stored: make_curves(run_ids, stored, points))

    def artifact(self, run_id: str, name: str) -> Path | None:
        """Return the path of the file where the run left it."""
        with self._lock:
            run = self.store.runs.get(run_id)
            files = run.files if run else self.store.report_files.get(run_id, {})
        path = files.get(name)
        return path if path and path.is_file() else None

    def study_yaml(self, study: str) -> str:
        """Return what the study was opened with."""
        with self._lock:
            text = self.store.studies.get(study)
        if text is None:
            raise UnknownStudy(study, self.studies())
        return text

    def definitions(self, study: str) -> list[KeptDefinition]:
        """Return what the study was opened with, the last at the end."""
        with self._lock:
            found = list(self.store.definitions.get(study, {}).values())
        return sorted(found, key=lambda kept: kept.time)

    def runs(self, study: str, *, phase: Phase | None = None) -> list[RunRecord]:
        """Return the runs, groups' parents left out."""
        with self._lock:
            found = [
                self._record(run_id, run, run.spec)
                for run_id, run in self.store.runs.items()
                if run.spec and run.group.study == study and phase in (None, run.group.phase)
            ]
        return sorted(found, key=lambda record: (record.start, record.run_id))

    def studies(self) -> list[str]:
        """List the names."""
        with self._lock:
            return sorted(self.store.studies)

    def _make_study(self, name: str, resolved_yaml: str) -> None:
        self.store.studies[name] = resolved_yaml
        made = KeptDefinition(definition_id(resolved_yaml), time.time(), resolved_yaml)
        self.store.definitions.setdefault(name, {})[made.id] = made

    def _read_lines(self, study: str) -> Iterable[Line]:
        for run_id, run in list(self.store.runs.items()):
            if run.group.study == study:
                digest = run.spec.digest() if run.spec else ""
                yield Line(run_id, run.group, run.parent_id, digest, run.state)

    def _read_group(self, group: Group) -> Iterable[Line]:
        return [line for line in self._read_lines(group.study) if line.group == group]

    def _make_run(self, line: Line, spec: RunSpec | None, params: Mapping[str, str]) -> None:
        run_id = uuid.uuid4().hex
        run = StoredRun(line.group, time.time(), dict(params), line.parent_id, spec)
        self.store.runs[run_id] = run
        line.run_id = run_id

    def _set_parent(self, line: Line, parent_id: str) -> None:
        self.store.runs[line.run_id].parent_id = parent_id

    def _reopen(self, line: Line, params: Mapping[str, str]) -> None:
        run = self.store.runs[line.run_id]
        run.state, run.reason, run.end = "running", "", None
        line.note(run.points)

    def _write(self, line: Line, points: Sequence[MetricValue], facts: Mapping[str, str]) -> None:
        run = self.store.runs[line.run_id]
        run.points |= dict.fromkeys(points)
        run.facts |= facts

    def _keep_files(self, line: Line, paths: Sequence[Path]) -> None:
        self.store.runs[line.run_id].files |= {path.name: path for path in paths}

    def _close(self, line: Line, end: End) -> None:
        self._write(line, end.points, end.facts)
        run = self.store.runs[line.run_id]
        run.state, run.reason, run.end = end.state, end.reason, time.time()

    def _record(self, run_id: str, run: StoredRun, spec: RunSpec) -> RunRecord:
        ordered = sorted(run.points, key=lambda point: (point.step, point.milliseconds))
        parent = self.store.runs.get(run.parent_id or "")
        return RunRecord(
            run_id=run_id,
            parent_id=run.parent_id or "",
            group=run.group,
            digest=spec.digest(),
            seeds=spec.seeds,
            state=run.state,
            reason=run.reason,
            params=run.params,
            metrics=true_metrics({point.name: point.value for point in ordered}, run.facts),
            facts=run.facts,
            start=run.start,
            end=run.end,
            group_state=parent.state if parent else None,
        )
