"""Do one run exactly once: reuse its outcome, or do it, journal it and track it."""

from __future__ import annotations

import shutil
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from trainers.contract import Emit, Measure, RunResult, RunSpec, StopRun, Workspace
from trainers.errors import OutOfMemory, RunFailed
from trainers.plugins import Frozen
from tuner.executors import Executor, RunInterrupted
from tuner.journal import Journal, read_journal, write_whole
from tuner.retry import retry_params, smaller
from tuner.store import Store
from tuner.trackers import Tracker


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
    retry: Mapping[str, str] = {}
    """What was changed in the spec after out of memory, such as `retry.batch_size`."""


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


@dataclass(frozen=True)
class _Tried:
    """How a try of a run ended, and the smaller spec to try next, if memory ran out."""

    outcome: Outcome
    next: RunSpec | None = None


@dataclass
class Recorder:
    """Does runs for a study: the one place where executor, journal and tracker meet."""

    executor: Executor
    tracker: Tracker
    store: Store
    data_dir: Path
    threads: int
    measure: Measure = "process"
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
            extra = outcome.retry if outcome is not None and reused else {}
            run_id = self.tracker.open_run(order.group_id, order.spec, adopt=reused, extra=extra)
            if outcome is not None and reused:
                self._replay(folder, run_id, watch)
                self._close(run_id, outcome, folder)
            else:
                outcome = self._do(order, run_id, watch)
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

    def _do(self, order: Order, run_id: str, watch: Emit) -> Outcome:
        """Do a run; where memory runs out, do it again with fewer rows at once.

        Each try is a run of the tracker, so that no curve holds the points of two.
        """
        folder = self.store.run_dir(order.spec.digest())
        tried = self._try(order, order.spec, run_id, watch)
        while tried.next is not None:
            reason = f"{tried.outcome.reason}; tried again with fewer rows at once"
            self.tracker.close_run(run_id, state="killed", reason=reason)
            extra = retry_params(order.spec, tried.next)
            run_id = self.tracker.open_run(order.group_id, order.spec, adopt=False, extra=extra)
            tried = self._try(order, tried.next, run_id, watch)
        write_whole(folder / "outcome.json", tried.outcome.model_dump_json())
        self._close(run_id, tried.outcome, folder)
        return tried.outcome

    def _try(self, order: Order, spec: RunSpec, run_id: str, watch: Emit) -> _Tried:
        folder = self.store.run_dir(order.spec.digest())
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_whole(folder / "spec.json", order.spec.model_dump_json(indent=2))
        retry = retry_params(order.spec, spec)
        ended: dict[str, Any] = {"owner": order.owner, "retry": retry}
        try:
            with Journal(folder, self.tracker, run_id, facts=retry) as journal:
                result = self.executor.run(spec, journal.before(watch), self._workspace(folder))
            return _Tried(Outcome(state="finished", result=result, **ended))
        except StopRun as stop:
            return _Tried(Outcome(state="pruned", reason=str(stop), **ended))
        except OutOfMemory as failed:
            outcome = Outcome(state="failed", reason=failed.reason, **ended)
            return _Tried(outcome, smaller(spec, failed.during))
        except RunFailed as failed:
            if failed.detail:
                write_whole(folder / "stderr.log", failed.detail)
            return _Tried(Outcome(state="failed", reason=failed.reason, **ended))
        except (KeyboardInterrupt, RunInterrupted):
            self.tracker.close_run(run_id, state="killed", reason="interrupted")
            raise

    def _workspace(self, folder: Path) -> Workspace:
        return Workspace(
            data_dir=self.data_dir.resolve(),
            cache_dir=self.store.cache_dir.resolve(),
            run_dir=folder.resolve(),
            threads=self.threads,
            measure=self.measure,
        )

    def _close(self, run_id: str, outcome: Outcome, folder: Path) -> None:
        self.tracker.close_run(
            run_id,
            state=outcome.state,
            reason=outcome.reason,
            result=outcome.result,
            folder=folder,
        )


def read_outcome(folder: Path) -> Outcome | None:
    """Return how the run of this folder ended; None while it has not."""
    path = folder / "outcome.json"
    return Outcome.model_validate_json(path.read_text()) if path.exists() else None
