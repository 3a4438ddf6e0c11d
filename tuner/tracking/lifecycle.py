"""The life of runs, the same in every store: adoption, late events, final values."""

from __future__ import annotations

import logging
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from trainers.contract import RunEvent, RunResult, RunSpec
from tuner.tracking.base import LAUNCHER_DIED, Group, RunState, Tracker
from tuner.tracking.ledger import Ledger, Line, MetricValue, Past
from tuner.tracking.names import cut_names, entity_name, final_metrics, run_name

_LOG = logging.getLogger(__name__)

_FILES = ("spec.json", "environment.json", "predictions.parquet")
_FILES_OF_FAILED = (*_FILES, "stderr.log")


@dataclass(frozen=True)
class End:
    """How a run ends, and what is written with it."""

    state: RunState
    reason: str
    points: Sequence[MetricValue]
    facts: Mapping[str, str]


class _Stamp(threading.local):
    """What a thread's calls are known by."""

    key: str = ""
    seconds: float | None = None


class LifecycleTracker(Tracker):
    """Base of trackers: it decides what is written, a subclass writes it.

    A subclass's methods are called under one lock, but for `_keep_files`.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._ledger = Ledger()
        self._read: set[str] = set()
        self._stamp = _Stamp()
        self._replaced: list[str] = []

    @contextmanager
    def stamped(self, key: str, seconds: float) -> Iterator[None]:
        """Name and date the call that this thread makes inside.

        A call that failed, and whose effect is therefore not known, may be made again under the
        same stamp: it makes the same run and logs the same points, once.

        Args:
            key: No other call's; stored with a run that the call makes.
            seconds: When the call was first made, since 1970.
        """
        self._stamp.key, self._stamp.seconds = key, seconds
        try:
            yield
        finally:
            self._stamp.key, self._stamp.seconds = "", None

    def open_study(self, name: str, resolved_yaml: str) -> None:
        """Make the study, and the first time enter what it holds into the ledger."""
        with self._lock:
            self._make_study(name, resolved_yaml)
            if name not in self._read:
                for line in self._read_lines(name):
                    self._ledger.add(line)
                self._read.add(name)

    def open_group(self, group: Group, params: Mapping[str, str], *, shared: bool = False) -> str:
        """Make or adopt the group's parent run."""
        with self._lock:
            if shared:
                self._ledger.renew(self._read_group(group))
            line = self._ledger.parent(group)
            if line is None:
                line = Line("", group, shared=shared)
                self._create(line, None, params)
                self._adopt(line, self._ledger.strays(line))
                return line.run_id
            line.shared = line.shared or shared
            if not line.live:
                if not shared:
                    self._end_orphans(line)
                self._revive(line, params)
            return line.run_id

    def has_ended(self, group: Group) -> bool:
        """Say whether the store has a group as ended, by whomever, and not before its time."""
        with self._lock:
            self._ledger.renew(self._read_group(group))
            line = self._ledger.parent(group)
            return line is not None and line.state not in ("running", "killed")

    def open_run(
        self,
        group_id: str,
        spec: RunSpec,
        *,
        adopt: bool,
        extra: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Make, adopt or find a run."""
        with self._lock:
            digest, parent, key = spec.digest(), self._ledger[group_id], self._stamp.key
            params = spec.flat() | dict(extra)
            claim = self._ledger.claim(parent.run_id, digest, adopt=adopt, key=key)
            if parent.shared and not claim.finished:
                self._ledger.renew(self._read_group(parent.group))
                claim = self._ledger.claim(parent.run_id, digest, adopt=adopt, key=key)
            for line in claim.stale:
                self._end(line, "killed", LAUNCHER_DIED)
            if claim.finished:
                return claim.finished.run_id
            if claim.adopted:
                self._revive(claim.adopted, params, spec)
                return claim.adopted.run_id
            line = Line("", parent.group, parent_id=parent.run_id, digest=digest)
            return self._create(line, spec, params)

    def log(self, run_id: str, events: Sequence[RunEvent]) -> None:
        """Write the events' points and new facts in one go."""
        points = [
            MetricValue(entity_name(name), value, event.step, int(event.time * 1000))
            for event in events
            for name, value in event.metrics.items()
        ]
        facts = {name: value for event in events for name, value in event.facts.items()}
        with self._lock:
            line = self._ledger[run_id]
            if line.live:
                self._put(line, points, facts)

    def close_run(
        self,
        run_id: str,
        *,
        state: RunState,
        reason: str = "",
        result: RunResult | None = None,
        folder: Path | None = None,
    ) -> None:
        """End a run; its state comes last, so that a crash on the way leaves it unfinished."""
        line = self._ledger[run_id]
        if not line.live:
            return
        names = _FILES_OF_FAILED if state in ("diverged", "failed") else _FILES
        paths = [folder / name for name in names] if folder else []
        there = [path for path in paths if path.is_file()]
        self._keep_files(line, there)
        if line.past:
            line.past.files = there
        with self._lock:
            if line.live and result:
                facts = result.facts | cut_names(result.metrics())
                self._end(line, state, reason, final_metrics(result), facts)
            elif line.live:
                self._end(line, state, reason)

    def close_group(
        self, group_id: str, *, state: RunState, reason: str = "", metrics: Mapping[str, float]
    ) -> None:
        """End a group's parent run."""
        with self._lock:
            line = self._ledger[group_id]
            if line.live and line.shared and state == "finished":
                self._ledger.renew(self._read_group(line.group))
                self._end_orphans(line)
            if line.live:
                named = {entity_name(k): v for k, v in metrics.items()}
                self._end(line, state, reason, named)

    def _end_orphans(self, parent: Line) -> None:
        for orphan in self._ledger.orphans(parent.run_id):
            self._end(orphan, "killed", LAUNCHER_DIED)

    def _create(self, line: Line, spec: RunSpec | None, params: Mapping[str, str]) -> str:
        line.key = self._stamp.key
        try:
            self._make_run(line, spec, params)
        except Exception as error:
            if not self._is_gone(error):
                raise
            self._mend_study(line.group.study)
            self._make_run(line, spec, params)
        line.live, line.past = True, Past(spec, params)
        return self._ledger.add(line).run_id

    def _revive(self, line: Line, params: Mapping[str, str], spec: RunSpec | None = None) -> None:
        line.past = Past(spec, params)
        self._surely(line, lambda: self._reopen(line, params))
        line.past.points += line.latest.values()
        line.state, line.live = "running", True

    def _surely(self, line: Line, write: Callable[[], None]) -> None:
        """Write to a run that is open; where somebody has deleted it, enter it again."""
        mends: tuple[Callable[[], None], ...] = (
            lambda: self._mend_study(line.group.study),
            lambda: self._enter_again(line),
        )
        for mend in mends:
            try:
                write()
            except Exception as error:
                if line.past is None or not self._is_gone(error):
                    raise
            else:
                return
            mend()
        write()

    def _enter_again(self, line: Line) -> None:
        old, past = line.run_id, line.past
        assert past is not None
        name = run_name(line.group, past.spec.seeds if past.spec else None, with_cell=True)
        _LOG.warning(
            "MLflow study %s: run %r was deleted while the study goes on; it is entered again",
            *(line.group.study, name),
        )
        if not line.live:  # what it held has gone with it
            line.latest, line.facts = {}, {}
        self._make_run(line, past.spec, past.params)
        self._replaced.append(old)
        self._adopt(line, self._ledger.rename(old, line))
        if past.points or past.facts:
            self._write(line, past.points, past.facts)
        self._keep_files(line, past.files)

    def _adopt(self, parent: Line, children: Iterable[Line]) -> None:
        for child in children:
            try:
                self._set_parent(child, parent.run_id)
            except Exception as error:
                if not self._is_gone(error):  # deleted with its parent
                    raise

    def _put(self, line: Line, points: Sequence[MetricValue], facts: Mapping[str, str]) -> None:
        new = line.changed_facts(facts)
        self._surely(line, lambda: self._write(line, points, new))
        line.note(points)
        line.facts |= new
        if line.past:
            line.past.points += points
            line.past.facts |= new

    def _milliseconds(self) -> int:
        """Return when the call was made, since 1970."""
        seconds = self._stamp.seconds
        return int((time.time() if seconds is None else seconds) * 1000)

    def _end(
        self,
        line: Line,
        state: RunState,
        reason: str,
        metrics: Mapping[str, float] = MappingProxyType({}),
        facts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        # At the last step, so that the kept epoch's validation scores outlive the last epoch's.
        now, changed = self._milliseconds(), line.changed(metrics)
        points = [MetricValue(name, value, line.step, now) for name, value in changed.items()]
        new = line.changed_facts(facts)
        self._surely(line, lambda: self._close(line, End(state, reason, points, new)))
        line.facts |= new
        line.note(points)
        line.state, line.live, line.past = state, False, None

    def _is_gone(self, error: Exception) -> bool:
        """Say whether a call failed because somebody has deleted what it writes to."""
        return False

    def _mend_study(self, study: str) -> None:  # most stores have nobody who deletes
        """Bring a study back that somebody has deleted or renamed."""

    @abstractmethod
    def _set_parent(self, line: Line, parent_id: str) -> None:
        """Put a run under another parent."""

    @abstractmethod
    def _make_study(self, name: str, resolved_yaml: str) -> None: ...

    @abstractmethod
    def _read_lines(self, study: str) -> Iterable[Line]:
        """Read a study's runs and parents, in the order they were started."""

    @abstractmethod
    def _read_group(self, group: Group) -> Iterable[Line]:
        """Read a configuration's parent and runs, in the order they were started."""

    @abstractmethod
    def _make_run(self, line: Line, spec: RunSpec | None, params: Mapping[str, str]) -> None:
        """Store a new run, a parent if there is no spec; note its identifier in the line.

        Called again with a line of the same key after it failed, it goes on with what it made.
        """

    @abstractmethod
    def _reopen(self, line: Line, params: Mapping[str, str]) -> None:
        """Set a run running again, and note the points that it holds."""

    @abstractmethod
    def _write(
        self, line: Line, points: Sequence[MetricValue], facts: Mapping[str, str]
    ) -> None: ...

    @abstractmethod
    def _keep_files(self, line: Line, paths: Sequence[Path]) -> None: ...

    @abstractmethod
    def _close(self, line: Line, end: End) -> None:
        """Write a run's last values and facts, then its state."""
