"""Confirm a cell: its best configuration on fresh seeds, never pruned, test read once a run."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from trainers.contract import RunEvent, RunSpec
from tuner.config import Cell, Objective, Point
from tuner.store import RunInterrupted, RunState
from tuner.store.outcome import Outcome
from tuner.study.attempt import Recorded
from tuner.study.failures import TooManyFailures
from tuner.study.session import Configuration, Session, request_of
from tuner.study.threads import map_threads


@dataclass(frozen=True)
class _Run:
    """A confirm run's spec and record; None if it was not begun."""

    spec: RunSpec
    recorded: Recorded | None

    @property
    def outcome(self) -> Outcome | None:
        """The run's outcome."""
        return self.recorded.outcome if self.recorded else None


def confirm(
    cell: Cell, session: Session, point: Point, *, trial: int | None, parallel: int
) -> bool:
    """Do the confirm runs of a cell, keep its models; return whether all runs are done.

    Args:
        cell: The cell.
        session: The study's session.
        point: The chosen configuration; empty for an arm without a space.
        trial: Number of the trial that found it; None for an arm without a space.
        parallel: Runs at once.
    """
    specs = [cell.spec(seeds, point, confirm=True) for seeds in cell.study.confirm.seeds]
    made = Configuration(cell, "confirm", trial)
    try:
        runs = _do_runs(made, session, specs, parallel=parallel)
    except (KeyboardInterrupt, RunInterrupted):
        session.leave(made)
        raise
    except TooManyFailures as error:
        session.close(made, "failed", str(error))
        raise
    _keep_models(made, session, runs)
    missing = _close(made, session, runs)
    session.failures.check()
    return not missing


def _do_runs(
    made: Configuration, session: Session, specs: Sequence[RunSpec], *, parallel: int
) -> list[_Run]:
    """Do the runs that no other launcher is doing, then wait for the others."""

    def work(spec: RunSpec, *, wait: bool) -> _Run | None:
        while not session.failures.fault_of(made.cell):
            session.failures.check()
            late = session.time_is_up()
            done = session.try_run(made, spec, _watch_only, begin=not late)
            if done is not None:
                return _Run(spec, done)
            if late:
                session.late.add(made.cell.label)
                break
            if not wait:
                return None
            session.shutdown.pause(session.poll_seconds)
        return _Run(spec, None)

    runs: dict[RunSpec, _Run] = {}
    for wait in (False, True):
        left = [spec for spec in specs if spec not in runs]
        found = map_threads(
            partial(work, wait=wait), left, parallel, on_error=session.shutdown.begin
        )
        runs |= {run.spec: run for run in found if run is not None}
    return [runs[spec] for spec in specs]


def _close(made: Configuration, session: Session, runs: Sequence[_Run]) -> int:
    """Close the group, unless other launchers are doing its runs; count the missing runs.

    A diverged run is not missing: it would diverge again.
    """
    ended = [run.outcome for run in runs if run.outcome is not None]
    results = [outcome.result for outcome in ended if outcome.result is not None]
    diverged = sum(outcome.state == "diverged" for outcome in ended)
    missing = len(runs) - len(results) - diverged
    fault = session.failures.fault_of(made.cell)
    late = len(ended) < len(runs) and not fault
    if late and session.is_shared_now(made):
        return missing
    state: RunState = "killed" if late else "failed" if missing else "finished"
    reason = f"{missing} of {len(runs)} runs {'not begun in time' if late else 'failed'}"
    if not missing:
        reason = f"{diverged} of {len(runs)} runs diverged" if diverged else ""
        state = "diverged" if diverged else state
    session.close(made, state, fault or reason)
    return missing


def _keep_models(made: Configuration, session: Session, runs: Sequence[_Run]) -> None:
    """Keep the models of the study: of every run, or of the best on validation.

    Each launcher does so for its own runs.
    """
    save = made.cell.study.save
    finished = [run for run in runs if run.outcome is not None and run.outcome.result is not None]
    settled = all(run.outcome is not None and run.outcome.state != "failed" for run in runs)
    if save == "none" or not finished or (save == "best" and not settled):
        return
    kept = finished
    if save == "best":
        kept = [max(finished, key=lambda run: _merit(made.cell, run))]
    recorder = session.recorder
    for run in finished:
        assert run.recorded is not None
        folder = recorder.model_folder(run.recorded)
        if run.recorded.elsewhere or not folder.is_dir():
            continue
        if run in kept:
            recorder.keep_model(run.recorded, request_of(made, run.spec))
        else:
            shutil.rmtree(folder)


def _merit(cell: Cell, run: _Run) -> float:
    """Return the study's metric on validation, negated if less is better."""
    assert run.outcome is not None
    assert run.outcome.result is not None
    objective = Objective(metric=cell.study.metric)
    value = objective.of(run.outcome.result.metrics())
    return value if objective.way() == "maximize" else -value


def _watch_only(event: RunEvent) -> None:
    """Take an event and never stop the run."""
