"""Confirm a cell: its best configuration on fresh seeds, never pruned, test read once a run."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from trainers.contract import RunEvent, RunSpec
from tuner.budget import Objective
from tuner.executors import RunInterrupted
from tuner.plan import Cell
from tuner.record import Outcome
from tuner.session import Session, TooManyFailures
from tuner.space import Point
from tuner.threads import map_threads
from tuner.trackers import aggregate


@dataclass(frozen=True)
class _Run:
    """A confirm run's spec, and how it ended; None if the time was up before it began."""

    spec: RunSpec
    outcome: Outcome | None


def confirm(
    cell: Cell, session: Session, point: Point, *, trial: int | None, parallel: int
) -> bool:
    """Do the confirm runs of a cell, keep the models that the study wants; say if all finished.

    Args:
        cell: The cell.
        session: The study's session.
        point: The chosen configuration; empty for an arm without a space.
        trial: Number of the trial that found it; None for an arm without a space.
        parallel: Runs at once.
    """
    specs = [cell.spec(seeds, point, confirm=True) for seeds in cell.study.confirm.seeds]
    group_id = session.open_group(cell, specs[0], phase="confirm", trial=trial)
    tracker = session.recorder.tracker

    def work(spec: RunSpec) -> _Run:
        if session.time_is_up():
            return _Run(spec, None)
        session.bear_failures()
        return _Run(spec, session.run(cell, spec, group_id, trial=trial, sink=_watch_only))

    try:
        close = session.recorder.executor.close
        runs = map_threads(work, specs, parallel, on_error=close)
    except (KeyboardInterrupt, RunInterrupted):
        tracker.close_group(group_id, state="killed", reason="interrupted", metrics={})
        raise
    except TooManyFailures as error:
        tracker.close_group(group_id, state="failed", reason=str(error), metrics={})
        raise
    _keep_models(cell, session, group_id, runs=runs)
    ended = [run.outcome for run in runs if run.outcome is not None]
    results = [outcome.result for outcome in ended if outcome.result is not None]
    missing = len(specs) - len(results)
    late = len(ended) < len(specs)
    reason = f"{missing} of {len(specs)} runs {'not begun in time' if late else 'failed'}"
    tracker.close_group(
        group_id,
        state="killed" if late else "failed" if missing else "finished",
        reason=reason if missing else "",
        metrics=aggregate([result.metrics() for result in results]),
    )
    session.bear_failures()
    return not missing


def _keep_models(cell: Cell, session: Session, group_id: str, *, runs: Sequence[_Run]) -> None:
    """Track the models that the study keeps: of every run, or of the best on validation."""
    finished = [run for run in runs if run.outcome is not None and run.outcome.result is not None]
    if cell.study.save == "none" or not finished:
        return
    if cell.study.save == "best":
        if len(finished) < len(runs):
            return
        best = max(finished, key=lambda run: _merit(cell, run))
        for run in finished:
            if run is not best:
                shutil.rmtree(session.model_folder(run.spec), ignore_errors=True)
        finished = [best]
    tracker = session.recorder.tracker
    for run in finished:
        run_id = tracker.open_run(group_id, run.spec, adopt=True)
        tracker.log_model(run_id, session.model_folder(run.spec))


def _merit(cell: Cell, run: _Run) -> float:
    """Return the study's metric on validation, turned so that more is better."""
    assert run.outcome is not None
    assert run.outcome.result is not None
    objective = Objective(metric=cell.study.metric)
    value = objective.of(run.outcome.result.metrics())
    return value if objective.way() == "maximize" else -value


def _watch_only(event: RunEvent) -> None:
    """Take an event and never stop the run."""
