"""Do one run exactly once: reuse its outcome, or do it, journal it and track it."""

from __future__ import annotations

import logging
import shutil
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainers.contract import Emit, Measure, RunEvent, RunSpec, StopRun, Workspace
from trainers.errors import OutOfMemory, RunFailed
from tuner.claims import Claims
from tuner.executors import Executor, RunInterrupted, RunLost
from tuner.journal import Journal, read_journal, write_whole
from tuner.memory_cap import MemoryForecast, refused
from tuner.outcome import Order, Outcome, Recorded, claim_of, read_outcome
from tuner.retry import retry_params, smaller
from tuner.store import Store
from tuner.trackers import Tracker

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Tried:
    """How a try of a run ended, and the spec to try next: smaller where memory ran out."""

    outcome: Outcome
    next: RunSpec | None = None


@dataclass
class Recorder:
    """Does runs for a study: the one place where executor, journal, tracker and claims meet."""

    executor: Executor
    tracker: Tracker
    store: Store
    claims: Claims
    """On runs: equal ones of two studies are done once, and in one folder."""
    data_dir: Path
    threads: int
    memory: MemoryForecast
    measure: Measure = "process"
    _locks: defaultdict[str, threading.Lock] = field(
        default_factory=lambda: defaultdict(threading.Lock)
    )

    def run(self, order: Order, watch: Emit) -> Recorded | None:
        """Return the outcome of a run, doing it only if it has none yet.

        Args:
            order: The run, and what it is for.
            watch: Called with every event, also those of an earlier run. It may raise StopRun.

        Returns:
            None while another launcher is at it.

        Raises:
            RunInterrupted, KeyboardInterrupt: The study is being closed; the run is tracked as
                killed and will be done again.
            LauncherReplaced: Another launcher has taken the run over.
        """
        digest = order.spec.digest()

        def will_do(content: str, fresh: bool) -> bool:
            return order.fulfilled_by(Outcome.model_validate_json(content), fresh=fresh)

        with self._locks[digest]:
            new = not self.store.run_dir(digest).exists()
            taken = self.claims.take(claim_of(digest), will_do, new=new)
            if taken is None:
                return None
            if taken.content is None:
                try:
                    return self._hold(order, watch)
                except BaseException:
                    self.claims.release(claim_of(digest))
                    raise
            outcome = Outcome.model_validate_json(taken.content)
            if taken.by == "living" and outcome.owner == order.owner:
                return Recorded(outcome, reused=True, elsewhere=True)
            self._track(order, outcome, watch)
            return Recorded(self._foreseen(order, outcome), reused=True)

    def _foreseen(self, order: Order, outcome: Outcome) -> Outcome:
        """Return a reused outcome with how far it is over this study's cap, not its maker's."""
        folder = self.store.run_dir(order.spec.digest())
        excess = self.memory.before(order.spec, self._workspace(folder)).excess_bytes
        return outcome.model_copy(update={"excess_bytes": excess})

    def _hold(self, order: Order, watch: Emit) -> Recorded:
        """Reuse the outcome in the run's folder, or do the run; then say so in the claim."""
        outcome = read_outcome(self.store.run_dir(order.spec.digest()))
        reused = outcome is not None and order.fulfilled_by(outcome)
        if outcome is not None and reused:
            with self._completed(order, outcome):
                self._track(order, outcome, watch)
        else:
            run_id = self.tracker.open_run(order.group_id, order.spec, adopt=False)
            outcome = self._do(order, run_id, watch)
        return Recorded(self._foreseen(order, outcome) if reused else outcome, reused)

    @contextmanager
    def _completed(self, order: Order, outcome: Outcome) -> Iterator[None]:
        """Say in the claim what came out of a run, around telling the tracker.

        Launchers that share the group take what the tracker shows as running for abandoned once
        the claim says that it is done, and another study does again, in the same folder, what has
        not finished. Else the claim, which may be lost, comes first.

        Raises:
            LauncherReplaced: Another launcher has taken the run over.
        """
        claim, content = claim_of(order.spec.digest()), outcome.model_dump_json()
        if order.shared or outcome.result is None:
            self.claims.keep(claim)
            yield
            self.claims.complete(claim, content)
        else:
            self.claims.complete(claim, content)
            yield

    def _track(self, order: Order, outcome: Outcome, watch: Emit) -> None:
        """Give the tracker an earlier run, and show its events, where this machine has them."""
        folder = self.store.run_dir(order.spec.digest())
        run_id = self.tracker.open_run(order.group_id, order.spec, adopt=True, extra=outcome.retry)
        found = read_outcome(folder)
        # Else the run was done on another machine, or what is here is an earlier attempt.
        here = found is not None and found.model_dump_json() == outcome.model_dump_json()
        if here:
            self._replay(folder, run_id, watch)
        self._close(run_id, outcome, folder if here else None)

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
        """Do a run; do it again where its machine is lost, with fewer rows where memory runs out.

        Each try is a run of the tracker, so that no curve holds the points of two.
        """
        folder = self.store.run_dir(order.spec.digest())
        tried = self._try(order, order.spec, run_id, watch)
        while tried.next is not None:
            _logger.warning("%s: %s", order.title, tried.outcome.reason)
            self.tracker.close_run(run_id, state="killed", reason=tried.outcome.reason)
            extra = retry_params(order.spec, tried.next)
            run_id = self.tracker.open_run(order.group_id, order.spec, adopt=False, extra=extra)
            tried = self._try(order, tried.next, run_id, watch)
        write_whole(folder / "outcome.json", tried.outcome.model_dump_json())
        with self._completed(order, tried.outcome):
            self._close(run_id, tried.outcome, folder)
        return tried.outcome

    def _try(self, order: Order, spec: RunSpec, run_id: str, watch: Emit) -> _Tried:
        folder = self.store.run_dir(order.spec.digest())
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_whole(folder / "spec.json", order.spec.model_dump_json(indent=2))
        retry = retry_params(order.spec, spec)
        workspace = self._workspace(folder)

        def heard(event: RunEvent) -> None:
            if event.kind == "start":
                self.memory.beside(spec, workspace)
            watch(event)

        ended: dict[str, Any] = {"owner": order.owner, "retry": retry}
        try:
            foreseen = self.memory.before(spec, workspace)
            ended["excess_bytes"] = foreseen.excess_bytes
            with Journal(folder, self.tracker, run_id, facts=retry) as journal:
                if foreseen.refusal:
                    journal.write(refused(foreseen))
                    return _refuse(order, spec, foreseen.refusal, ended)
                result = self.executor.run(spec, journal.before(heard), workspace)
            result = self.memory.after(spec, workspace, result)
            return _Tried(Outcome(state="finished", result=result, **ended))
        except StopRun as stop:
            return _Tried(Outcome(state="pruned", reason=str(stop), **ended))
        except OutOfMemory as failed:
            self.tracker.log(run_id, self.memory.of_too_much(spec, workspace))
            return _with_fewer_rows(smaller(spec, failed.during), failed.reason, ended)
        except RunLost as lost:
            reason = f"lost with its machine: {lost}; done again"
            return _Tried(Outcome(state="failed", reason=reason, **ended), spec)
        except RunFailed as failed:
            if failed.detail:
                write_whole(folder / "stderr.log", failed.detail)
            return _Tried(Outcome(state="failed", reason=failed.reason, **ended))
        except (KeyboardInterrupt, RunInterrupted):
            self.claims.launcher.check()
            self.tracker.close_run(run_id, state="killed", reason="interrupted")
            raise

    def _workspace(self, folder: Path) -> Workspace:
        return Workspace(
            data_dir=self.data_dir.resolve(),
            cache_dir=self.store.cache_dir.resolve(),
            run_dir=folder.resolve(),
            threads=self.threads,
            frugal=self.memory.cap is not None,
            measure=self.measure,
        )

    def _close(self, run_id: str, outcome: Outcome, folder: Path | None) -> None:
        self.tracker.close_run(
            run_id,
            state=outcome.state,
            reason=outcome.reason,
            result=outcome.result,
            folder=folder,
        )


def _refuse(order: Order, spec: RunSpec, reason: str, ended: Mapping[str, Any]) -> _Tried:
    """End a try that is predicted over the cap.

    A trial is pruned. A confirm run whose trial was let in can be over the cap by the order of
    its rows alone, which its seed draws: it is done with fewer of them at once.
    """
    if not spec.read_test:
        return _Tried(Outcome(state="pruned", reason=reason, **ended))
    fewer = smaller(spec, "train") if order.searched else None
    return _with_fewer_rows(fewer, reason, ended)


def _with_fewer_rows(fewer: RunSpec | None, reason: str, ended: Mapping[str, Any]) -> _Tried:
    said = reason if fewer is None else f"{reason}; tried again with fewer rows at once"
    return _Tried(Outcome(state="failed", reason=said, **ended), fewer)
