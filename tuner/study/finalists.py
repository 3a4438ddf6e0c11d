"""Decide between a search's best trials by their runs on fresh seeds."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.config import Cell, rank_trials
from tuner.study.seed_runs import close, do_runs
from tuner.study.session import Configuration, Session
from tuner.study.tickets import Best


def choose(cell: Cell, session: Session, ranked: Sequence[Best], *, parallel: int) -> Best | None:
    """Return the trial to confirm: of the finalists, the best by the mean of all their seeds.

    Args:
        cell: The cell; its search has ended.
        session: The study's session.
        ranked: The finished trials, best first.
        parallel: Runs at once.

    Returns:
        None if there is no trial, or some finalist's runs were not begun: the time is up, or the
        cell was given up.
    """
    study = cell.study
    finalists, seeds = ranked[: study.search.finalists.count], study.finalist_seeds()
    if len(finalists) < 2:
        return next(iter(ranked), None)
    made = {best.trial: Configuration(cell, "finalists", best.trial) for best in finalists}
    wanted = [
        (made[best.trial], cell.spec(seed, best.point)) for best in finalists for seed in seeds
    ]
    runs = do_runs(wanted, session, parallel=parallel)
    for trial, configuration in made.items():
        close(configuration, session, [run for run in runs if run.made.trial == trial])
    session.failures.check()
    if session.failures.fault_of(cell) or any(run.outcome is None for run in runs):
        return None
    fresh = {
        trial: [
            run.outcome.result.metrics()
            for run in runs
            if run.made.trial == trial and run.outcome and run.outcome.result
        ]
        for trial in made
    }
    first, *_ = rank_trials(
        {best.trial: best.values for best in finalists},
        study.objectives(),
        fresh,
        seeds=(len(study.search.seeds), len(seeds)),
    )
    return next(best for best in finalists if best.trial == first)
