"""Search a cell: one Optuna study, each trial a configuration run on the search seeds."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from trainers.contract import Emit, RunEvent, RunSpec, StopRun
from trainers.errors import known
from tuner.config import Cell, show_bytes
from tuner.store.database import RunInterrupted
from tuner.store.outcome import Outcome
from tuner.study.ask import Claimed, claim, study_name
from tuner.study.optuna_storage import StudyStorage
from tuner.study.session import Configuration, Session
from tuner.study.threads import map_threads
from tuner.study.trials import MEMORY_CAP, REASON, STATE, Best, best_of, budgeted, stand
from tuner.tracking import RunState, aggregate


@dataclass(frozen=True)
class _Ended:
    """How a trial ended, and its runs, one for each seed it got to."""

    state: RunState
    reason: str
    runs: Sequence[Outcome]
    of_cell: bool = False
    """It failed for a reason that every run of the cell has."""

    @property
    def metrics(self) -> list[Mapping[str, float]]:
        """Those of the runs that finished."""
        return [run.result.metrics() for run in self.runs if run.result is not None]

    @property
    def excess_bytes(self) -> int | None:
        """How far its largest run is predicted over the cap; None where that is not known."""
        known = [run.excess_bytes for run in self.runs if run.excess_bytes is not None]
        return max(known, default=None)


def search(cell: Cell, session: Session, storage: StudyStorage, *, parallel: int) -> Best | None:
    """Spend what is left of a cell's budget and return its best configuration.

    Args:
        cell: The cell; its arm has a space.
        session: The study's session.
        storage: Optuna's storage.
        parallel: Trials at once.

    Returns:
        The best completed trial: on several objectives, the Pareto-optimal one that is best in
        the first. None if the time is up before the budget is spent, or the cell was given up.
    """
    study = _open(cell, storage)
    lock = threading.Lock()

    def work(_: int) -> None:
        while session.goes_on(cell):
            with lock:
                claimed = session.claims.patience.persist(
                    lambda: claim(study, storage, cell, session)
                )
            if claimed is not None:
                _evaluate(study, cell, claimed, session, lock)
                session.failures.bear()
            elif _is_spent(study, cell):
                return
            else:
                session.ending.pause(session.claims.poll_seconds)

    map_threads(work, range(parallel), parallel, on_error=session.ending.close)
    session.tried[cell.label] = stand(study.get_trials(deepcopy=False), cell).ended
    if session.failures.fault_of(cell):
        return None
    if not _is_spent(study, cell):
        session.late.add(cell.label)
        return None
    best = best_of(study, cell)
    if best is None:
        session.failures.give_up(cell, _all_over_cap(study, cell) or _none_finished(study, cell))
    return best


def _none_finished(study: optuna.Study, cell: Cell) -> str:
    """Say how the trials of a search ended that has no result."""
    trials = [t.user_attrs for t in budgeted(study.get_trials(deepcopy=False), cell)]
    ways = Counter(attributes.get(STATE, "ended without a result") for attributes in trials)
    counted = ", ".join(f"{count} {way}" for way, count in sorted(ways.items()))
    last = trials[-1].get(REASON, "")
    return f"no trial finished: {counted}; the last: {last}"


def _all_over_cap(study: optuna.Study, cell: Cell) -> str:
    """Say that no trial fits under the cap; empty where some did, or there is no cap."""
    excess = [
        trial.constraints.get(MEMORY_CAP, -1.0)
        for trial in study.get_trials(deepcopy=False)
        if trial.state.is_finished()
    ]
    if not excess or min(excess) <= 0:
        return ""
    cap, over = cell.study.memory_cap, min(excess)
    if isinstance(cap, int):
        said = f"the smallest is {show_bytes(cap + over)}, memory_cap {show_bytes(cap)}"
    else:
        said = f"the smallest by {show_bytes(over)}, memory_cap {cap}"
    return f"every trial's predicted peak of memory is over the cap: {said}"


def _is_spent(study: optuna.Study, cell: Cell) -> bool:
    return stand(study.get_trials(deepcopy=False), cell).is_spent


def _open(cell: Cell, storage: StudyStorage) -> optuna.Study:
    config = cell.study
    return optuna.create_study(
        study_name=study_name(cell),
        storage=storage,
        directions=[objective.way() for objective in config.objectives()],
        pruner=config.search.pruner.build(cell.spec(config.search.seeds[0]).train.epochs),
        load_if_exists=True,
    )


def _evaluate(
    study: optuna.Study, cell: Cell, claimed: Claimed, session: Session, lock: threading.Lock
) -> None:
    """Run a trial on every search seed, tell Optuna and the tracker how it ended."""
    number = claimed.trial.number
    specs = [cell.spec(seeds, claimed.point) for seeds in cell.study.search.seeds]
    try:
        made = session.open_group(
            cell, specs[0], phase="search", trial=number, shared=claimed.adopted
        )
        try:
            ended = _run_seeds(made, claimed, specs, session)
        except (KeyboardInterrupt, RunInterrupted):
            session.leave_group(made, specs)
            raise
        session.claims.keep(claimed.name)
        if ended.state == "pruned" and ended.runs[-1].result:
            session.tell_pruned(made, ended.reason, runs=len(specs) - len(ended.runs))
        metrics = aggregate(ended.metrics)
        state: RunState = "killed" if ended.of_cell else ended.state
        session.close_group(made, state=state, reason=ended.reason, metrics=metrics)
        with lock:  # the study's sampler is one for all threads
            _tell(study, cell, claimed, ended)
    except BaseException:
        session.claims.release(claimed.name)
        raise
    session.claims.drop(claimed.name)


def _run_seeds(
    made: Configuration, claimed: Claimed, specs: Sequence[RunSpec], session: Session
) -> _Ended:
    """Run a trial on seed after seed, until one ends without a result or the pruner says so."""
    cell, trial = made.cell, claimed.trial
    epochs_count = len(specs) == 1 and len(cell.study.objectives()) == 1
    runs: list[Outcome] = []
    for spec in specs:
        reported = _reported(trial) if claimed.adopted else set()
        sink = _sink(trial, cell, spec, reported) if epochs_count else _no_sink
        outcome = session.run(made, spec, sink)
        runs.append(outcome)
        ended = _Ended(outcome.state, outcome.reason, runs, outcome.of_cell)
        if outcome.result is None:
            return ended
        if lacking := _lacking(cell, outcome.result.metrics()):
            session.failures.give_up(cell, lacking)
            return _Ended("failed", lacking, runs, of_cell=True)
        if len(runs) < len(specs) and _behind(trial, cell, ended.metrics):
            return _Ended("pruned", f"pruned after {len(runs)} of {len(specs)} seeds", runs)
    return _Ended("finished", "", runs)


def _lacking(cell: Cell, metrics: Mapping[str, float]) -> str:
    """Name the objective that a run's result does not have; empty where it has all."""
    for objective in cell.study.objectives():
        if objective.logged not in metrics:
            return f"metric: no run has {objective.metric!r}; known: {known(metrics)}"
    return ""


def _tell(study: optuna.Study, cell: Cell, claimed: Claimed, ended: _Ended) -> None:
    """Tell Optuna how a trial ended; on several seeds its value is their mean.

    One that diverged is told as pruned: samplers take such a point for a bad one, where they pass
    over one that failed. Where the cell was given up, the trial is no part of the budget.
    """
    if cell.study.search.sampler.kind == "grid":
        # At the last point the grid sampler calls Study.stop, which only `optimize` may do.
        study.sampler = optuna.samplers.RandomSampler()
    # Another launcher that took this one for dead may have ended the trial.
    with contextlib.suppress(UpdateFinishedTrialError):
        # Once: what is set first stays.
        if ended.excess_bytes is not None and MEMORY_CAP not in claimed.trial.constraints:
            claimed.trial.set_constraint(MEMORY_CAP, ended.excess_bytes)
        if ended.state == "finished":
            values = [
                fmean(objective.of(row) for row in ended.metrics)
                for objective in cell.study.objectives()
            ]
            study.tell(claimed.trial, values, skip_if_finished=True)
            return
        if not ended.of_cell:
            claimed.trial.set_user_attr(STATE, ended.state)
            claimed.trial.set_user_attr(REASON, ended.reason)
        state = TrialState.FAIL if ended.state == "failed" else TrialState.PRUNED
        study.tell(claimed.trial, state=state, skip_if_finished=True)


def _sink(trial: optuna.Trial, cell: Cell, spec: RunSpec, reported: set[int]) -> Emit:
    """Report each epoch's metric to Optuna, once; stop the run when the pruner says so."""
    (objective,) = cell.study.objectives()
    name = f"validation/{objective.metric}"

    def sink(event: RunEvent) -> None:
        if event.kind != "epoch" or name not in event.metrics:
            return
        epoch = round(event.epoch)
        if epoch not in reported:
            trial.report(event.metrics[name], epoch)
            reported.add(epoch)  # a run that is tried again comes to it once more
        if epoch < spec.train.epochs and trial.should_prune():
            raise StopRun(f"pruned at epoch {epoch}: {name} {event.metrics[name]:.4f}")

    return sink


def _no_sink(event: RunEvent) -> None:
    """Take an event and report nothing: with several seeds or aims, epochs are not compared."""


def _behind(trial: optuna.Trial, cell: Cell, metrics: Sequence[Mapping[str, float]]) -> bool:
    """Report the newest seed's value and ask the pruner, which pairs trials seed by seed."""
    if len(cell.study.objectives()) > 1:
        return False
    (objective,) = cell.study.objectives()
    step = len(metrics) - 1
    if step not in _reported(trial):
        trial.report(objective.of(metrics[-1]), step)
    return trial.should_prune()


def _reported(trial: optuna.Trial) -> set[int]:
    """Return the steps that a trial which is taken up again reported before, once and for all."""
    return set(trial.storage.get_trial(trial._trial_id).intermediate_values)
