"""The state that the runs of a study share: recorder, watcher, deadline, failures."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from trainers.contract import Emit, RunEvent, RunSpec
from tuner.config import Cell, Objective, Phase
from tuner.store import Group, RunInterrupted, RunState
from tuner.store.database import Outage
from tuner.store.outcome import Outcome, RunRequest
from tuner.store.runs import GroupEnd
from tuner.study.attempt import Recorded, Recorder
from tuner.study.failures import Failures
from tuner.study.progress import RunNotice, Watch
from tuner.study.retry import describe_retry
from tuner.study.shutdown import Shutdown


@dataclass(frozen=True)
class Configuration:
    """A configuration whose runs are being done: a trial, or a cell's confirm runs."""

    cell: Cell
    phase: Phase
    trial: int | None
    """Number of the trial; in the confirm phase, of the one that was chosen; None: no search."""

    @property
    def group(self) -> Group:
        """The configuration in records."""
        return Group(
            study=self.cell.study.name,
            task=self.cell.task,
            model=self.cell.model,
            arm=self.cell.arm,
            phase=self.phase,
            trial=self.trial,
            cell=self.cell.fingerprint(),
        )


@dataclass
class Session:
    """One call of `run_study`."""

    recorder: Recorder
    shutdown: Shutdown
    watch: Watch
    failures: Failures
    deadline: float | None
    """Time by the clock after which nothing new is begun."""
    poll_seconds: float = 1.0
    """Seconds between checks of a run that another launcher is doing."""
    clock: Callable[[], float] = time.monotonic
    tried: dict[str, int] = field(default_factory=dict)
    """Trials of each search that have ended, by the cell's label."""
    chosen: dict[str, int] = field(default_factory=dict)
    """Number of the trial that each search chose, by the cell's label."""
    late: set[str] = field(default_factory=set)
    """Labels of cells in which work was not begun because the time was up."""

    def time_is_up(self) -> bool:
        """Return whether the deadline has passed."""
        return self.deadline is not None and self.clock() > self.deadline

    def may_begin(self, cell: Cell) -> bool:
        """Return whether something new may be begun in a cell."""
        return not self.time_is_up() and not self.failures.fault_of(cell)

    def close(self, made: Configuration, state: RunState, reason: str = "") -> None:
        """Record the end of a configuration, which holds until a run of it is begun again."""
        self.recorder.runs.close(made.group, GroupEnd(state=state, reason=reason))
        self.recorder.runs.journal.flush()

    def leave(self, made: Configuration) -> None:
        """Record that a configuration was interrupted, unless other launchers are doing its runs.

        The study is ending: this does not wait for another launcher or the database.
        """
        self.shutdown.begin()
        self.recorder.runs.journal.writer.check()
        with contextlib.suppress(Outage, RunInterrupted):
            if not self.is_shared_now(made):
                self.close(made, "killed", "interrupted")

    def is_shared_now(self, made: Configuration) -> bool:
        """Return whether other launchers are doing runs of it; this one has ended its own."""
        runs = self.recorder.runs
        return any(runs.is_alive(run.attempt) for run in runs.in_group(made.group))

    def run(self, made: Configuration, spec: RunSpec, sink: Emit) -> Outcome:
        """Do one run of a configuration, or wait for the launcher that is doing it."""
        while (done := self.try_run(made, spec, sink)) is None:
            self.shutdown.pause(self.poll_seconds)
        return done.outcome

    def try_run(
        self, made: Configuration, spec: RunSpec, sink: Emit, *, begin: bool = True
    ) -> Recorded | None:
        """Do one run of a configuration, with notices to the watcher.

        Args:
            made: The configuration.
            spec: The run.
            sink: Called with every event; may raise StopRun.
            begin: Do the run if it is not done; False: only look it up.

        Returns:
            None while another launcher is doing it, or where it is not done and not to be begun.
        """
        started = self.clock()
        begun = RunNotice(
            cell=made.cell,
            phase=made.phase,
            trial=made.trial,
            seed=spec.seeds.init,
            epochs=spec.train.epochs,
            values=_searched_values(made.cell, spec),
        )

        def notify(**changes: Any) -> None:
            self.watch(replace(begun, **{"seconds": self.clock() - started, **changes}))

        def pass_on(event: RunEvent) -> None:
            notify(event=event)
            sink(event)

        if begin:
            self.watch(begun)
        recorded = self.recorder.run(request_of(made, spec, begin=begin), pass_on)
        if recorded is None:
            return None
        outcome, of_point = recorded.outcome, _is_point(made)
        reason = outcome.reason or describe_retry(outcome.retry)
        own: dict[str, Any] = {}
        if outcome.result:
            own = {"scores": outcome.result.metrics()}
            own["seconds"] = sum(outcome.result.seconds.values())
        notify(state=outcome.state, reason=reason, reused=recorded.reused, **own)
        self.failures.note(made.cell, _title(made, spec), outcome, of_point=of_point)
        if outcome.state == "diverged" and made.phase == "confirm":
            self.failures.note_diverged(_title(made, spec), outcome)
        if of_point and outcome.of_cell:
            return replace(recorded, outcome=outcome.model_copy(update={"of_cell": False}))
        return recorded

    def tell_pruned(self, made: Configuration, reason: str, *, runs: int) -> None:
        """Notify the watcher that the pruner has saved a trial's last `runs` seeds."""
        self.watch(
            RunNotice(made.cell, made.phase, made.trial, state="pruned", reason=reason, runs=runs)
        )


def request_of(made: Configuration, spec: RunSpec, *, begin: bool = True) -> RunRequest:
    """Return the request for a run of a configuration.

    Args:
        made: The configuration.
        spec: The run.
        begin: Do the run if it is not done; False: only look it up.
    """
    return RunRequest(
        spec,
        made.group,
        made.cell.data.get(spec.seeds.data, {}),
        searched=made.trial is not None,
        title=_title(made, spec),
        needs=_needs(made),
        begin=begin,
    )


def _searched_values(cell: Cell, spec: RunSpec) -> dict[str, str]:
    flat = spec.flat()
    return {name: flat[name] for name in cell.study.arms[cell.arm].space if name in flat}


def _is_point(made: Configuration) -> bool:
    """Return whether a configuration is one of several methods that its cell's search tries."""
    space = made.cell.study.arms[made.cell.arm].space
    return made.phase == "search" and any(name.startswith("method.") for name in space)


def _needs(made: Configuration) -> frozenset[str]:
    """Return the names of the metrics that a configuration's runs must have."""
    study = made.cell.study
    judged = (Objective(metric=study.metric),) if made.phase == "confirm" else study.objectives()
    return frozenset(objective.logged for objective in judged)


def _title(made: Configuration, spec: RunSpec) -> str:
    return f"{made.cell.label}, {made.phase}, seed {spec.seeds.init}"
