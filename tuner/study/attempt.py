"""Do one run exactly once: reuse an earlier outcome, or begin, follow and end an attempt."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trainers.contract import Emit, Measure, RunEvent, RunSpec, StopRun, Workspace
from trainers.errors import CannotBuild, Diverged, OutOfMemory, RunFailed, RunKilled
from tuner.executors import MOST_KILLS, Executor, RunLost
from tuner.store import Store, missing_space, write_whole
from tuner.store.attempts import Attempt
from tuner.store.outcome import Outcome, RunRequest
from tuner.store.runs import EventLog, Run, RunBegun, Runs, event_topic, read_events
from tuner.study.memory_cap import MemoryForecast, MemoryPrediction, refused
from tuner.study.retry import retry_params, smaller

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recorded:
    """The outcome of a run, and whether it was reused."""

    outcome: Outcome
    attempt: Attempt
    reused: bool
    elsewhere: bool = False
    """Another living launcher did the run, and keeps its model."""


@dataclass(frozen=True)
class _AttemptEnd:
    """The end of an attempt, and the spec to try next: smaller where memory ran out."""

    outcome: Outcome
    next: RunSpec | None = None
    killed: bool = False
    """Its process was killed, by whom is not known."""


@dataclass
class Recorder:
    """Does runs for a study and keeps their outcomes in the journal. Thread-safe."""

    executor: Executor
    runs: Runs
    store: Store
    data_dir: Path
    threads: int
    memory: MemoryForecast
    measure: Measure = "process"
    since: int = 0
    """Id of the journal's last line on runs when this launcher began."""
    _locks: defaultdict[str, threading.Lock] = field(
        default_factory=lambda: defaultdict(threading.Lock)
    )

    def run(self, request: RunRequest, watch: Emit) -> Recorded | None:
        """Return the outcome of a run; do it only if there is none yet.

        Args:
            request: The run, with its configuration.
            watch: Called with every event, also those of an earlier attempt. It may raise
                StopRun.

        Returns:
            None while another launcher is doing it, or where it is not done and not to be begun.

        Raises:
            RunInterrupted, KeyboardInterrupt: The study is being closed; the run will be done
                again.
            LauncherReplaced: Another launcher has taken over the run.
        """
        digest = request.spec.digest()

        def enough(attempt: Attempt) -> bool:
            run = Run(request.group, attempt)
            assert run.outcome is not None
            fresh = attempt.ended_id > self.since
            return request.fulfilled_by(run.outcome, run.begun.group, fresh=fresh)

        with self._locks[digest]:
            if not request.begin:
                done = [one for one in self.runs.of(digest) if one.ended and enough(one)]
                return self._reuse(request, done[-1], watch) if done else None
            attempt = self.runs.take(digest, _content(request, request.spec), enough=enough)
            if attempt is None:
                return None
            if attempt.ended is not None:
                return self._reuse(request, attempt, watch)
            return self._do(request, attempt, watch)

    def keep_model(self, recorded: Recorded, request: RunRequest) -> None:
        """Have the study keep the model in a run's folder."""
        self.runs.keep(recorded.attempt, request.group)

    def model_folder(self, recorded: Recorded) -> Path:
        """Return the folder of a run's trained model."""
        attempt = recorded.attempt
        return self.store.run_dir(attempt.name, attempt.number) / "model"

    def _reuse(self, request: RunRequest, attempt: Attempt, watch: Emit) -> Recorded:
        """Reuse an earlier outcome, unless this study's memory cap refuses the trial."""
        run = Run(request.group, attempt)
        outcome = run.outcome
        assert outcome is not None
        own = run.begun.group == request.group
        if own and attempt.launcher != self.runs.journal.writer.launcher:
            lease = self.runs.journal.writer
            if self.runs.journal.policy.persist(lambda: lease.is_alive(attempt.launcher)):
                return Recorded(outcome, attempt, reused=True, elsewhere=True)
        is_trials = request.group.phase == "search"
        if is_trials and request.of_another_search(run.begun.group):
            predicted = self._predict_memory(request.spec, attempt)
            if predicted.refusal:
                return self._refuse_known(request, attempt, predicted)
            outcome = outcome.model_copy(update={"excess_bytes": predicted.excess_bytes})
        self.runs.reuse(attempt, request.group)
        self._replay(attempt, watch)
        return Recorded(outcome, attempt, reused=True)

    def _refuse_known(
        self, request: RunRequest, known: Attempt, predicted: MemoryPrediction
    ) -> Recorded:
        """End a run of another study as pruned, as this study's memory cap refuses it."""
        outcome = Outcome(
            state="pruned",
            reason=predicted.refusal,
            excess_bytes=predicted.excess_bytes,
            metrics=refused(predicted).metrics,
        )
        attempt = self.runs.take(known.name, _content(request, request.spec))
        if attempt is None or attempt.ended is not None:
            return Recorded(outcome, known, reused=True)
        events = self._events(attempt)
        events.write(refused(predicted))
        events.finish()
        self.runs.end(attempt, outcome.model_dump_json())
        return Recorded(outcome, attempt, reused=True)

    def _replay(self, attempt: Attempt, watch: Emit) -> None:
        """Pass on an earlier run's events; a StopRun ends only that, as the run has ended."""
        topic = event_topic(attempt.name, attempt.number)
        for event in read_events(self.runs.journal, topic):
            try:
                watch(event)
            except StopRun:
                return

    def _do(self, request: RunRequest, attempt: Attempt, watch: Emit) -> Recorded | None:
        """Do a run; repeat it if it is killed, or with fewer rows if memory runs out.

        Each repetition is an attempt of its own, so that no curve has the points of two.
        """
        spec, kills = request.spec, 0
        while True:
            try:
                ended = self._once(request, spec, attempt, watch)
            except BaseException:
                killed = Outcome(state="killed", reason="interrupted")
                with contextlib.suppress(Exception):  # the original exception is the one to report
                    self.runs.end(attempt, killed.model_dump_json())
                raise
            kills += ended.killed
            if ended.next is None or kills == MOST_KILLS:
                self.runs.end(attempt, ended.outcome.model_dump_json())
                return Recorded(ended.outcome, attempt, reused=False)
            _logger.warning("%s: %s", request.title, ended.outcome.reason)
            spec, killed = ended.next, ended.outcome.model_copy(update={"state": "killed"})
            self.runs.end(attempt, killed.model_dump_json())
            again = self.runs.take(attempt.name, _content(request, spec))
            if again is None:
                return None
            attempt = again

    def _once(
        self, request: RunRequest, spec: RunSpec, attempt: Attempt, watch: Emit
    ) -> _AttemptEnd:
        """Do a run, unless it is predicted over the cap."""
        workspace = self._workspace(spec, self._fresh_folder(request, attempt))
        retry = retry_params(request.spec, spec)
        events = self._events(attempt)

        def emit(event: RunEvent) -> None:
            if event.kind == "start":
                event = event.model_copy(update={"facts": {**event.facts, **retry}})
                self.memory.beside(spec, workspace)
            events.write(event)
            watch(event)

        ended: dict[str, Any] = {"retry": retry}
        try:
            with contextlib.ExitStack() as stack:
                stack.callback(events.finish)
                predicted = self.memory.before(spec, workspace)
                ended["excess_bytes"] = predicted.excess_bytes
                if predicted.refusal:
                    events.write(refused(predicted))
                    found = _refuse(request, spec, predicted.refusal, ended)
                else:
                    found = self._train(spec, emit, workspace, events, ended)
        except StopRun as stop:
            found = _AttemptEnd(Outcome(state="pruned", reason=str(stop), **ended))
        except RunLost as lost:
            reason = f"lost with its machine: {lost}; done again"
            found = _AttemptEnd(Outcome(state="failed", reason=reason, **ended), spec)
        except RunKilled as killed:
            found = _AttemptEnd(Outcome(state="failed", reason=killed.reason, **ended), spec, True)
        except RunFailed as failed:
            found = _failed(failed, workspace.run_dir, ended)
        last_values = {
            "metrics": events.metrics,
            "facts": events.facts,
            "epochs": events.epochs,
        }
        return replace(found, outcome=found.outcome.model_copy(update=last_values))

    def _train(
        self,
        spec: RunSpec,
        emit: Emit,
        workspace: Workspace,
        events: EventLog,
        ended: Mapping[str, Any],
    ) -> _AttemptEnd:
        try:
            result = self.executor.run(spec, emit, workspace)
        except OutOfMemory as failed:
            for event in self.memory.of_too_much(spec, workspace):
                events.write(event)
            return _with_fewer_rows(smaller(spec, failed.during), failed.reason, ended)
        result = self.memory.after(spec, workspace, result)
        return _AttemptEnd(Outcome(state="finished", result=result, **ended))

    def _events(self, attempt: Attempt) -> EventLog:
        return EventLog(self.runs.journal, event_topic(attempt.name, attempt.number))

    def _predict_memory(self, spec: RunSpec, attempt: Attempt) -> MemoryPrediction:
        folder = self.store.run_dir(attempt.name, attempt.number)
        return self.memory.before(spec, self._workspace(spec, folder))

    def _fresh_folder(self, request: RunRequest, attempt: Attempt) -> Path:
        folder = self.store.run_dir(attempt.name, attempt.number)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_whole(folder / "spec.json", request.spec.model_dump_json(indent=2))
        return folder

    def _workspace(self, spec: RunSpec, folder: Path) -> Workspace:
        return Workspace(
            data_dir=self.data_dir.resolve(),
            folders=spec.model.folders(),
            cache_dir=self.store.cache_dir.resolve(),
            run_dir=folder.resolve(),
            threads=self.threads,
            frugal=self.memory.cap is not None,
            measure=self.measure,
        )


def _content(request: RunRequest, spec: RunSpec) -> str:
    """Return the work of an attempt, for the journal."""
    begun = RunBegun(
        group=request.group,
        spec=request.spec.model_dump(mode="json"),
        retry=retry_params(request.spec, spec),
    )
    return begun.model_dump_json()


def _failed(failed: RunFailed, folder: Path, ended: Mapping[str, Any]) -> _AttemptEnd:
    """Return the end of a failed run; on a full disk, end the study to do the run again."""
    if missing_space(failed) is not None:
        raise failed
    if failed.detail:
        write_whole(folder / "stderr.log", failed.detail)
    state: Any = "diverged" if isinstance(failed, Diverged) else "failed"
    of_cell = isinstance(failed, CannotBuild)
    return _AttemptEnd(Outcome(state=state, reason=failed.reason, of_cell=of_cell, **ended))


def _refuse(
    request: RunRequest, spec: RunSpec, reason: str, ended: Mapping[str, Any]
) -> _AttemptEnd:
    """Return the end of a run that is predicted over the cap.

    A trial is pruned. Another run of a trial that was within the cap can be over it only by the
    order of its rows, which its seed draws: it is done with fewer rows at once.
    """
    if request.group.phase == "search":
        return _AttemptEnd(Outcome(state="pruned", reason=reason, **ended))
    fewer = smaller(spec, "train") if request.searched else None
    return _with_fewer_rows(fewer, reason, ended)


def _with_fewer_rows(fewer: RunSpec | None, reason: str, ended: Mapping[str, Any]) -> _AttemptEnd:
    said = reason if fewer is None else f"{reason}; tried again with fewer rows at once"
    return _AttemptEnd(Outcome(state="failed", reason=said, **ended), fewer)
