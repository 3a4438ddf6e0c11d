"""Try a run once: journal it, track what it says, find out how it ended and what to try next."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainers.contract import Emit, Measure, RunEvent, RunSpec, StopRun, Workspace
from trainers.errors import CannotBuild, Diverged, OutOfMemory, RunFailed
from tuner.executors import Executor, RunLost
from tuner.store.claims import Claims
from tuner.store.database import RunInterrupted
from tuner.store.full_disk import missing_space
from tuner.store.location import Store
from tuner.store.outcome import Order, Outcome
from tuner.study.journal import Journal, write_whole
from tuner.study.memory_cap import MemoryForecast, MemoryPrediction, refused
from tuner.study.retry import retry_params, smaller
from tuner.tracking import Tracker


@dataclass(frozen=True)
class Tried:
    """How a try of a run ended, and the spec to try next: smaller where memory ran out."""

    outcome: Outcome
    next: RunSpec | None = None


@dataclass(frozen=True)
class Tries:
    """Starts tries of runs for a study. Thread-safe."""

    executor: Executor
    tracker: Tracker
    store: Store
    claims: Claims
    data_dir: Path
    threads: int
    memory: MemoryForecast
    measure: Measure = "process"

    def foresee(self, spec: RunSpec, folder: Path) -> MemoryPrediction:
        """Predict a run if there is a cap that it might break."""
        return self.memory.before(spec, self._workspace(folder, spec))

    def once(self, order: Order, spec: RunSpec, run_id: str, watch: Emit) -> Tried:
        """Do a run, unless it is predicted over the cap.

        Args:
            order: The run as it was ordered.
            spec: The run as it is to be tried now.
            run_id: The tracker's id of this try.
            watch: Called with every event; may raise StopRun.

        Raises:
            RunInterrupted, KeyboardInterrupt: The study is being closed; the try is tracked as
                killed.
            LauncherReplaced: Another launcher has taken the run over.
        """
        folder = self._fresh_folder(order)
        retry = retry_params(order.spec, spec)
        workspace = self._workspace(folder, spec)

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
                try:
                    result = self.executor.run(spec, journal.before(heard), workspace)
                except OutOfMemory as failed:
                    for event in self.memory.of_too_much(spec, workspace):
                        journal.write(event)
                    return _with_fewer_rows(smaller(spec, failed.during), failed.reason, ended)
            result = self.memory.after(spec, workspace, result)
            return Tried(Outcome(state="finished", result=result, **ended))
        except StopRun as stop:
            return Tried(Outcome(state="pruned", reason=str(stop), **ended))
        except RunLost as lost:
            reason = f"lost with its machine: {lost}; done again"
            return Tried(Outcome(state="failed", reason=reason, **ended), spec)
        except RunFailed as failed:
            return _failed(failed, folder, ended)
        except (KeyboardInterrupt, RunInterrupted):
            self.claims.launcher.check()
            self.tracker.close_run(run_id, state="killed", reason="interrupted")
            raise

    def _fresh_folder(self, order: Order) -> Path:
        folder = self.store.run_dir(order.spec.digest())
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_whole(folder / "spec.json", order.spec.model_dump_json(indent=2))
        return folder

    def _workspace(self, folder: Path, spec: RunSpec) -> Workspace:
        return Workspace(
            data_dir=self.data_dir.resolve(),
            folders=spec.model.folders(),
            cache_dir=self.store.cache_dir.resolve(),
            run_dir=folder.resolve(),
            threads=self.threads,
            frugal=self.memory.cap is not None,
            measure=self.measure,
        )


def _failed(failed: RunFailed, folder: Path, ended: Mapping[str, Any]) -> Tried:
    """End a try that failed by itself; a full disk ends the study, and the run is done again."""
    if missing_space(failed) is not None:
        raise failed
    if failed.detail:
        write_whole(folder / "stderr.log", failed.detail)
    state: Any = "diverged" if isinstance(failed, Diverged) else "failed"
    of_cell = isinstance(failed, CannotBuild)
    return Tried(Outcome(state=state, reason=failed.reason, of_cell=of_cell, **ended))


def _refuse(order: Order, spec: RunSpec, reason: str, ended: Mapping[str, Any]) -> Tried:
    """End a try that is predicted over the cap.

    A trial is pruned. A confirm run whose trial was let in can be over the cap by the order of
    its rows alone, which its seed draws: it is done with fewer of them at once.
    """
    if not spec.read_test:
        return Tried(Outcome(state="pruned", reason=reason, **ended))
    fewer = smaller(spec, "train") if order.searched else None
    return _with_fewer_rows(fewer, reason, ended)


def _with_fewer_rows(fewer: RunSpec | None, reason: str, ended: Mapping[str, Any]) -> Tried:
    said = reason if fewer is None else f"{reason}; tried again with fewer rows at once"
    return Tried(Outcome(state="failed", reason=said, **ended), fewer)
