"""Search a cell: one Optuna study, each trial a configuration run on the search seeds."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import optuna

from trainers.contract import Emit, RunEvent, RunSpec, StopRun
from trainers.errors import known
from tuner.config import Cell, show_bytes
from tuner.store import RunInterrupted, RunState
from tuner.store.database import Outage
from tuner.store.leases import LauncherReplaced
from tuner.store.outcome import Outcome
from tuner.store.runs import GroupEnd
from tuner.study.session import Configuration, Session
from tuner.study.threads import map_threads
from tuner.study.tickets import (
    MEMORY_CAP,
    REASON,
    STATE,
    Best,
    CellSearch,
    Ticket,
    open_search,
)


@dataclass(frozen=True)
class _Evaluation:
    """The end of a trial, and its runs, one for each seed until then."""

    state: RunState
    reason: str
    runs: Sequence[Outcome]
    of_cell: bool = False
    """It failed for a reason of the whole cell."""

    @property
    def metrics(self) -> list[Mapping[str, float]]:
        """The metrics of its finished runs."""
        return [run.result.metrics() for run in self.runs if run.result is not None]

    @property
    def excess_bytes(self) -> int | None:
        """Predicted memory of its largest run above the cap; None where unknown."""
        known = [run.excess_bytes for run in self.runs if run.excess_bytes is not None]
        return max(known, default=None)


def search(cell: Cell, session: Session, *, parallel: int) -> Sequence[Best]:
    """Spend the rest of a cell's budget and return its finished trials, best first.

    Args:
        cell: The cell; its arm has a space.
        session: The study's session.
        parallel: Trials at once.

    Returns:
        The finished trials, of each point the first: on several objectives, the Pareto-optimal one
        that is best in the first leads. None of them if the time is up before the budget is
        spent, or the cell was given up.
    """
    search = open_search(cell, session.recorder.runs.journal)
    lock = threading.Lock()

    def work(_: int) -> None:
        while session.may_begin(cell):
            with lock:
                ticket = search.take()
            if ticket is not None:
                _evaluate(search, ticket, session, lock)
                session.failures.check()
            elif search.is_spent:
                return
            else:
                session.shutdown.pause(session.poll_seconds)

    map_threads(work, range(parallel), parallel, on_error=session.shutdown.begin)
    session.tried[cell.label] = search.ended
    if session.failures.fault_of(cell):
        return ()
    if not search.is_spent:
        session.late.add(cell.label)
        return ()
    ranked = search.ranked()
    if not ranked:
        session.failures.give_up(cell, _all_over_cap(search) or _none_finished(search))
    return ranked


def _none_finished(search: CellSearch) -> str:
    """Return the reason why a search has no result: its trials' states and the last error."""
    trials = [trial.user_attrs for trial in search.trials()]
    ways = Counter(attributes.get(STATE, "ended without a result") for attributes in trials)
    counted = ", ".join(f"{count} {way}" for way, count in sorted(ways.items()))
    last = trials[-1].get(REASON, "")
    return f"no trial finished: {counted}; the last: {last}"


def _all_over_cap(search: CellSearch) -> str:
    """Return a sentence if every trial is over the memory cap, else ""."""
    excess = [trial.constraints.get(MEMORY_CAP, -1.0) for trial in search.trials()]
    if not excess or min(excess) <= 0:
        return ""
    cap, over = search.cell.study.memory_cap, min(excess)
    if isinstance(cap, int):
        said = f"the smallest is {show_bytes(cap + over)}, memory_cap {show_bytes(cap)}"
    else:
        said = f"the smallest by {show_bytes(over)}, memory_cap {cap}"
    return f"every trial's predicted peak of memory is over the cap: {said}"


def _evaluate(search: CellSearch, ticket: Ticket, session: Session, lock: threading.Lock) -> None:
    """Run a trial on every search seed, and record its end."""
    made = Configuration(search.cell, "search", ticket.trial.number)
    try:
        try:
            ended = _run_seeds(made, search, ticket, session)
        except (KeyboardInterrupt, RunInterrupted):
            session.leave(made)
            raise
        if ended.state == "pruned" and ended.runs[-1].result:
            spared = len(search.cell.study.search.seeds) - len(ended.runs)
            session.tell_pruned(made, ended.reason, runs=spared)
        state: RunState = "killed" if ended.of_cell else ended.state
        session.recorder.runs.close(made.group, GroupEnd(state=state, reason=ended.reason))
        with lock:  # the threads share Optuna's study
            _tell(search, ticket, ended)
    except BaseException:
        with contextlib.suppress(LauncherReplaced, Outage, RunInterrupted):
            search.leave(ticket)
        raise


def _run_seeds(
    made: Configuration, search: CellSearch, ticket: Ticket, session: Session
) -> _Evaluation:
    """Run a trial on seed after seed, until one ends without a result or the pruner stops it."""
    cell, trial = made.cell, ticket.trial
    specs = [cell.spec(seeds, ticket.point) for seeds in cell.study.search.seeds]
    epochs_count = len(specs) == 1 and len(cell.study.objectives()) == 1
    runs: list[Outcome] = []
    for spec in specs:
        reported = search.reported(ticket) if ticket.adopted else set()
        sink = _sink(trial, cell, spec, reported) if epochs_count else _no_sink
        outcome = session.run(made, spec, sink)
        runs.append(outcome)
        ended = _Evaluation(outcome.state, outcome.reason, runs, outcome.of_cell)
        if outcome.result is None:
            return ended
        if lacking := _lacking(cell, outcome.result.metrics()):
            session.failures.give_up(cell, lacking)
            return _Evaluation("failed", lacking, runs, of_cell=True)
        if len(runs) < len(specs) and _behind(search, ticket, ended.metrics):
            return _Evaluation("pruned", f"pruned after {len(runs)} of {len(specs)} seeds", runs)
    return _Evaluation("finished", "", runs)


def _lacking(cell: Cell, metrics: Mapping[str, float]) -> str:
    """Return the fault that a run's result lacks an objective, or ""."""
    for objective in cell.study.objectives():
        if objective.logged not in metrics:
            return f"metric: no run has {objective.metric!r}; known: {known(metrics)}"
    return ""


def _tell(search: CellSearch, ticket: Ticket, ended: _Evaluation) -> None:
    """Record the end of a trial in Optuna; on several seeds its value is their mean.

    In a cell that was given up, the trial is left to be done again.
    """
    values = None
    if ended.state == "finished":
        objectives = search.cell.study.objectives()
        values = [fmean(objective.of(row) for row in ended.metrics) for objective in objectives]
    elif ended.of_cell:
        search.leave(ticket)
        return
    attributes = {} if values is not None else {STATE: ended.state, REASON: ended.reason}
    search.tell(
        ticket,
        values,
        state=ended.state,
        attributes=attributes,
        excess_bytes=ended.excess_bytes,
    )


def _sink(trial: optuna.Trial, cell: Cell, spec: RunSpec, reported: set[int]) -> Emit:
    """Return an event handler that reports each epoch's metric to Optuna and obeys the pruner."""
    (objective,) = cell.study.objectives()
    name = f"validation/{objective.metric}"

    def sink(event: RunEvent) -> None:
        if event.kind != "epoch" or name not in event.metrics:
            return
        epoch = round(event.epoch)
        if epoch not in reported:
            trial.report(event.metrics[name], epoch)
            reported.add(epoch)  # a retried run reaches it again
        if epoch < spec.train.epochs and trial.should_prune():
            raise StopRun(f"pruned at epoch {epoch}: {name} {event.metrics[name]:.4f}")

    return sink


def _no_sink(event: RunEvent) -> None:
    """Ignore an event: with several seeds or objectives, epochs are not compared."""


def _behind(search: CellSearch, ticket: Ticket, metrics: Sequence[Mapping[str, float]]) -> bool:
    """Report the newest seed's value; return whether the pruner, which pairs seeds, stops."""
    if len(search.cell.study.objectives()) > 1:
        return False
    (objective,) = search.cell.study.objectives()
    step = len(metrics) - 1
    if step not in search.reported(ticket):
        ticket.trial.report(objective.of(metrics[-1]), step)
    return ticket.trial.should_prune()
