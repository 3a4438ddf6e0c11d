"""Search a cell: one Optuna study, each trial a configuration run on the search seeds."""

from __future__ import annotations

import threading
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import optuna
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import TrialState

from trainers.contract import Emit, RunEvent, RunSpec, StopRun
from tuner.algorithms import STATEFUL
from tuner.executors import RunInterrupted
from tuner.plan import Cell
from tuner.session import Session
from tuner.space import Value, suggest
from tuner.takeover import HEARTBEAT_SECONDS, LAUNCHER, adopt, fail_stale, heartbeat, launcher
from tuner.threads import map_threads
from tuner.trackers import RunState, aggregate
from tuner.trials import REASON, Best, best_of, budgeted, counted, waiting


@dataclass(frozen=True)
class _Claimed:
    """A trial that this launcher works on, with its point."""

    trial: optuna.Trial
    point: Mapping[str, Value]


@dataclass(frozen=True)
class _Ended:
    """How a trial ended, with the metrics of the runs that finished."""

    state: RunState
    reason: str
    metrics: Sequence[Mapping[str, float]]


def open_storage(url: str) -> RDBStorage:
    """Open Optuna's storage, with a heartbeat, so that trials of a dead launcher are found.

    Optuna's warnings of what it may change one day, and of a heartbeat without `optimize`, which
    `search` keeps itself, are turned off: a user of a study can do nothing about them.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed")
    return RDBStorage(
        url,
        heartbeat_interval=HEARTBEAT_SECONDS,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
    )


def study_name(cell: Cell) -> str:
    """Name a cell's Optuna study; a cell whose definition changes gets a new one."""
    return f"{cell.study.name} / {cell.label} @ {cell.fingerprint()}"


def search(cell: Cell, session: Session, storage: RDBStorage, *, parallel: int) -> Best | None:
    """Spend what is left of a cell's budget and return its best configuration.

    Args:
        cell: The cell; its arm has a space.
        session: The study's session.
        storage: Optuna's storage.
        parallel: Trials at once.

    Returns:
        The best completed trial: on several objectives, the Pareto-optimal one that is best in
        the first. None if the time is up before the budget is spent, or no trial completed.
    """
    study = _open(cell, storage)
    lock = threading.Lock()

    def work(_: int) -> None:
        while not session.time_is_up():
            claimed = _claim(study, cell, lock)
            if claimed is None:
                return
            with heartbeat(storage, claimed.trial):
                _evaluate(study, cell, claimed, session)
            session.bear_failures()

    map_threads(work, range(parallel), parallel, on_error=session.recorder.executor.close)
    spent = len(counted(study)) >= cell.study.search.trials
    return best_of(study, cell) if spent else None


def _open(cell: Cell, storage: RDBStorage) -> optuna.Study:
    config = cell.study
    return optuna.create_study(
        study_name=study_name(cell),
        storage=storage,
        directions=[objective.way() for objective in config.objectives()],
        pruner=config.search.pruner.build(cell.spec(config.search.seeds[0]).train.epochs),
        load_if_exists=True,
    )


def _claim(study: optuna.Study, cell: Cell, lock: threading.Lock) -> _Claimed | None:
    """Take over an abandoned trial, or ask for a new one; None when the budget is spent."""
    space = cell.study.arms[cell.arm].space
    with lock:
        trial = adopt(study, budgeted(study, cell))
        if trial is None:
            fail_stale(study)
            if len(counted(study)) >= cell.study.search.trials and not waiting(study):
                return None
            study.sampler = _sampler(cell, len(study.get_trials(deepcopy=False)))
            trial = study.ask()
        trial.set_user_attr(LAUNCHER, launcher())
        return _Claimed(trial, suggest(trial, space))


def _sampler(cell: Cell, number: int) -> optuna.samplers.BaseSampler:
    """Make the sampler of one trial, seeded by cell and trial.

    A fresh seed for every trial makes a resumed search equal to an uninterrupted one; samplers
    that keep their place in the storage want the same seed throughout.
    """
    search = cell.study.search
    seed = zlib.crc32(f"{search.sampler_seed} {cell.label}".encode())
    seed += 0 if search.sampler.kind in STATEFUL else number
    grid = {k: v.grid() or [] for k, v in cell.study.arms[cell.arm].space.items()}
    parallel = cell.study.executor.workers > 1
    return search.sampler.build(seed % 2**32, grid=grid, parallel=parallel)


def _evaluate(study: optuna.Study, cell: Cell, claimed: _Claimed, session: Session) -> None:
    """Run a trial on every search seed, tell Optuna and the tracker how it ended."""
    trial = claimed.trial
    specs = [cell.spec(seeds, claimed.point) for seeds in cell.study.search.seeds]
    epochs_count = len(specs) == 1 and len(cell.study.objectives()) == 1
    group_id = session.open_group(cell, specs[0], phase="search", trial=trial.number)
    metrics: list[Mapping[str, float]] = []
    state: RunState = "finished"
    reason = ""
    try:
        for spec in specs:
            sink = _sink(trial, cell, spec) if epochs_count else _no_sink
            outcome = session.run(cell, spec, group_id, trial=trial.number, sink=sink)
            if outcome.result is None:
                state, reason = outcome.state, outcome.reason
                break
            metrics.append(outcome.result.metrics())
            if len(metrics) < len(specs) and _behind(trial, cell, metrics):
                state, reason = "pruned", f"pruned after {len(metrics)} seeds"
                break
    except (KeyboardInterrupt, RunInterrupted):
        trial.set_user_attr(LAUNCHER, "")
        session.recorder.tracker.close_group(
            group_id, state="killed", reason="interrupted", metrics={}
        )
        raise
    session.recorder.tracker.close_group(
        group_id, state=state, reason=reason, metrics=aggregate(metrics)
    )
    _tell(study, cell, claimed, _Ended(state, reason, metrics))


def _tell(study: optuna.Study, cell: Cell, claimed: _Claimed, ended: _Ended) -> None:
    """Tell Optuna how a trial ended; on several seeds its value is their mean."""
    if cell.study.search.sampler.kind == "grid":
        # At the last point the grid sampler calls Study.stop, which only `optimize` may do.
        study.sampler = optuna.samplers.RandomSampler()
    if ended.state == "finished":
        values = [
            fmean(objective.of(row) for row in ended.metrics)
            for objective in cell.study.objectives()
        ]
        study.tell(claimed.trial, values)
        return
    claimed.trial.set_user_attr(REASON, ended.reason)
    pruned = ended.state == "pruned"
    study.tell(claimed.trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)


def _sink(trial: optuna.Trial, cell: Cell, spec: RunSpec) -> Emit:
    """Report each epoch's metric to Optuna; stop the run when the pruner says so."""
    (objective,) = cell.study.objectives()
    name = f"validation/{objective.metric}"
    reported = _reported(trial)

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
