"""Do one run exactly once: reuse its outcome, or do it, journal it and track it."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trainers.contract import Emit, RunEvent, RunResult, RunSpec, StopRun, Workspace
from trainers.errors import RunFailed
from trainers.plugins import Frozen
from tuner.executors import Executor, RunInterrupted
from tuner.store import Store
from tuner.trackers import Tracker

_SECONDS_BETWEEN_FLUSHES = 5.0


class Outcome(Frozen):
    """How a run ended, as `outcome.json` in its folder says."""

    state: Literal["finished", "pruned", "failed"]
    """finished: it has a result; pruned: its trial was stopped; failed: it has a reason."""
    owner: str
    """Trial or confirm group that it was done for."""
    reason: str = ""
    """Why it failed or was pruned, in one line."""
    result: RunResult | None = None
    """What came out of a finished run."""


@dataclass(frozen=True)
class Order:
    """A run to be done, and what it is for."""

    spec: RunSpec
    group_id: str
    """The tracker's id of the configuration."""
    owner: str
    """Names the configuration in the outcome."""
    data: Mapping[str, str]
    """Digest of each split as the data are now; empty where they are not known."""

    def fulfilled_by(self, outcome: Outcome) -> bool:
        """Say whether an earlier outcome stands for this run.

        A finished one does for everybody, unless the data have changed since; a pruned or failed
        one only for the trial it was made in. A failed confirm run is tried again.
        """
        if outcome.result is None:
            return outcome.owner == self.owner and not self.spec.read_test
        facts = outcome.result.facts
        return all(facts.get(f"data.{split}") == digest for split, digest in self.data.items())


@dataclass(frozen=True)
class Recorded:
    """A run's outcome, and whether it stood there already."""

    outcome: Outcome
    reused: bool


@dataclass
class Recorder:
    """Does runs for a study: the one place where executor, journal and tracker meet."""

    executor: Executor
    tracker: Tracker
    store: Store
    data_dir: Path
    threads: int
    _locks: defaultdict[str, threading.Lock] = field(
        default_factory=lambda: defaultdict(threading.Lock)
    )

    def run(self, order: Order, watch: Emit) -> Recorded:
        """Return the outcome of a run, doing it only if it has none yet.

        Args:
            order: The run, and what it is for.
            watch: Called with every event, also those of an earlier run. It may raise StopRun.

        Raises:
            RunInterrupted, KeyboardInterrupt: The study is being closed; the run is tracked as
                killed and will be done again.
        """
        digest = order.spec.digest()
        folder = self.store.run_dir(digest)
        with self._locks[digest]:
            outcome = read_outcome(folder)
            reused = outcome is not None and order.fulfilled_by(outcome)
            run_id = self.tracker.open_run(order.group_id, order.spec, adopt=reused)
            if outcome is not None and reused:
                self._replay(folder, run_id, watch)
            else:
                outcome = self._do(order.spec, run_id, owner=order.owner, watch=watch)
        self.tracker.close_run(
            run_id,
            state=outcome.state,
            reason=outcome.reason,
            result=outcome.result,
            folder=folder,
        )
        return Recorded(outcome, reused)

    def _replay(self, folder: Path, run_id: str, watch: Emit) -> None:
        """Show an earlier run's events; its end is known, so a wish to stop it comes too late."""
        events = list(read_journal(folder))
        self.tracker.log(run_id, events)
        for event in events:
            try:
                watch(event)
            except StopRun:
                return

    def _do(self, spec: RunSpec, run_id: str, *, owner: str, watch: Emit) -> Outcome:
        folder = self.store.run_dir(spec.digest())
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _write(folder / "spec.json", spec.model_dump_json(indent=2))
        workspace = Workspace(
            data_dir=self.data_dir.resolve(),
            cache_dir=self.store.cache_dir.resolve(),
            run_dir=folder.resolve(),
            threads=self.threads,
        )
        try:
            with _Journal(folder, self.tracker, run_id) as journal:
                result = self.executor.run(spec, journal.before(watch), workspace)
            outcome = Outcome(state="finished", owner=owner, result=result)
        except StopRun as stop:
            outcome = Outcome(state="pruned", owner=owner, reason=str(stop))
        except RunFailed as failed:
            if failed.detail:
                _write(folder / "stderr.log", failed.detail)
            outcome = Outcome(state="failed", owner=owner, reason=failed.reason)
        except (KeyboardInterrupt, RunInterrupted):
            self.tracker.close_run(run_id, state="killed", reason="interrupted")
            raise
        _write(folder / "outcome.json", outcome.model_dump_json())
        return outcome


def read_outcome(folder: Path) -> Outcome | None:
    """Return how the run of this folder ended; None while it has not."""
    path = folder / "outcome.json"
    return Outcome.model_validate_json(path.read_text()) if path.exists() else None


def read_journal(folder: Path) -> Iterator[RunEvent]:
    """Yield the events of the run of this folder."""
    path = folder / "events.jsonl"
    for line in path.read_text().splitlines() if path.exists() else ():
        yield RunEvent.model_validate_json(line)


class _Journal:
    """Writes each event to `events.jsonl` at once, and to the tracker in batches."""

    def __init__(self, folder: Path, tracker: Tracker, run_id: str) -> None:
        self._file = (folder / "events.jsonl").open("w", encoding="utf-8")
        self._tracker = tracker
        self._run_id = run_id
        self._pending: list[RunEvent] = []
        self._flushed = time.monotonic()

    def __enter__(self) -> _Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self._flush()
        self._file.close()

    def before(self, watch: Emit) -> Emit:
        """Return a receiver that writes each event down before `watch` sees it."""

        def emit(event: RunEvent) -> None:
            self._write(event)
            watch(event)

        return emit

    def _write(self, event: RunEvent) -> None:
        self._file.write(event.model_dump_json() + "\n")
        self._file.flush()
        self._pending.append(event)
        if time.monotonic() - self._flushed > _SECONDS_BETWEEN_FLUSHES:
            self._flush()

    def _flush(self) -> None:
        self._tracker.log(self._run_id, self._pending)
        self._pending = []
        self._flushed = time.monotonic()


def _write(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or none."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
