"""Confirm a cell: its best configuration on fresh seeds, never pruned, test read once a run."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from tuner.config import Cell, Objective, Point
from tuner.study.seed_runs import SeedRun, close, do_runs
from tuner.study.session import Configuration, Session, request_of


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
    runs = do_runs([(made, spec) for spec in specs], session, parallel=parallel)
    _keep_models(made, session, runs)
    missing = close(made, session, runs)
    session.failures.check()
    return not missing


def _keep_models(made: Configuration, session: Session, runs: Sequence[SeedRun]) -> None:
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


def _merit(cell: Cell, run: SeedRun) -> float:
    """Return the study's metric on validation, negated if less is better."""
    assert run.outcome is not None
    assert run.outcome.result is not None
    objective = Objective(metric=cell.study.metric)
    value = objective.of(run.outcome.result.metrics())
    return value if objective.way() == "maximize" else -value
