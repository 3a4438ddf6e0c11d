"""What the runs of one study share while it runs: recorder, watcher, time and failures left."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trainers.contract import Emit, RunEvent, RunSpec
from tuner.config import Cell, Objective, Phase
from tuner.store.claims import Claims
from tuner.store.database import Outage, RunInterrupted
from tuner.store.outcome import Order, Outcome, Recorded, claim_of
from tuner.study.failures import Failures
from tuner.study.progress import RunNotice, Watch
from tuner.study.record import Recorder
from tuner.study.retry import said_of
from tuner.study.shutdown import Ending
from tuner.tracking import Group, RunState

_OPEN, _CLOSED = "open", "closed"


@dataclass(frozen=True)
class Configuration:
    """A configuration whose runs are being done: a trial, or a cell's confirm runs."""

    cell: Cell
    phase: Phase
    trial: int | None
    """Number of the trial; in the confirm phase, of the trial that was chosen."""
    group_id: str
    """The tracker's identifier."""
    shared: bool
    """Other launchers may do some of its runs."""

    @property
    def name(self) -> str:
        """Name for claims and outcomes."""
        of_study = f"{self.cell.study.name} / {self.cell.label} {self.cell.fingerprint()}"
        return f"{of_study} {self.phase} {self.trial}"


@dataclass
class Session:
    """One call of `run_study`."""

    recorder: Recorder
    claims: Claims
    """On the study's trials, cells and groups."""
    ending: Ending
    watch: Watch
    failures: Failures
    deadline: float | None
    """Moment on the clock after which nothing new is begun."""
    clock: Callable[[], float] = time.monotonic
    tried: dict[str, int] = field(default_factory=dict)
    """Trials of each search that have ended, by the cell's label."""
    late: set[str] = field(default_factory=set)
    """Labels of cells in which something was not begun, as the time was up."""

    def time_is_up(self) -> bool:
        """Say whether the deadline has passed."""
        return self.deadline is not None and self.clock() > self.deadline

    def goes_on(self, cell: Cell) -> bool:
        """Say whether something new may be begun in a cell."""
        return not self.time_is_up() and not self.failures.fault_of(cell)

    def open_group(
        self, cell: Cell, spec: RunSpec, *, phase: Phase, trial: int | None, shared: bool
    ) -> Configuration:
        """Open the tracker's record of one configuration.

        Args:
            cell: Its cell.
            spec: One of its runs.
            phase: What it is for.
            trial: Number of the trial; in the confirm phase, of the trial that was chosen.
            shared: Another launcher has worked on it, or may do so now.
        """
        params = {k: v for k, v in spec.flat().items() if not k.startswith("seeds.")}
        group, tracker = group_of(cell, phase, trial), self.recorder.tracker
        made = Configuration(cell, phase, trial, "", shared)
        if not shared:
            return replace(made, group_id=tracker.open_group(group, params))
        with self.claims.exclusive(_group_claim(made)) as state:
            made = replace(made, group_id=tracker.open_group(group, params, shared=True))
            state.note = _OPEN
        return made

    def close_group(
        self, made: Configuration, *, state: RunState, reason: str, metrics: Mapping[str, float]
    ) -> None:
        """Close the tracker's record; a shared one is closed as finished by one launcher."""
        tracker = self.recorder.tracker
        if not made.shared:
            tracker.close_group(made.group_id, state=state, reason=reason, metrics=metrics)
            return
        with self.claims.exclusive(_group_claim(made)) as noted:
            if noted.note == _OPEN:
                tracker.close_group(made.group_id, state=state, reason=reason, metrics=metrics)
                # An end before its time is not the last word: another launcher may go on.
                noted.note = _CLOSED if state == "finished" else _OPEN

    def leave_group(self, made: Configuration, specs: Sequence[RunSpec]) -> None:
        """Close the record of a configuration as interrupted, unless others are at its runs.

        The study is ending: what would wait, for another launcher or the database, does not.
        """
        self.ending.close()
        self.claims.launcher.check()
        with contextlib.suppress(Outage, RunInterrupted):
            if not self.is_shared_now(specs):
                self.close_group(made, state="killed", reason="interrupted", metrics={})

    def is_shared_now(self, specs: Sequence[RunSpec]) -> bool:
        """Say whether other launchers are doing some of these runs; this one has ended its own."""
        held = self.recorder.claims.held()
        return not held.isdisjoint(claim_of(spec.digest()) for spec in specs)

    def run(self, made: Configuration, spec: RunSpec, sink: Emit) -> Outcome:
        """Do one run of a configuration, or wait for the launcher that is doing it."""
        while (done := self.try_run(made, spec, sink)) is None:
            self.ending.pause(self.claims.poll_seconds)
        return done.outcome

    def try_run(
        self, made: Configuration, spec: RunSpec, sink: Emit, *, begin: bool = True
    ) -> Recorded | None:
        """Do one run of a configuration, with notices to the watcher.

        Args:
            made: The configuration.
            spec: The run.
            sink: Called with every event; may raise StopRun.
            begin: Do it if it is not done; else it is only looked up.

        Returns:
            None while another launcher is at it, or where it is not done and not to be begun.
        """
        started = self.clock()
        begun = RunNotice(
            cell=made.cell,
            phase=made.phase,
            trial=made.trial,
            seed=spec.seeds.init,
            epochs=spec.train.epochs,
        )

        def notify(**changes: Any) -> None:
            self.watch(replace(begun, **{"seconds": self.clock() - started, **changes}))

        def pass_on(event: RunEvent) -> None:
            notify(event=event)
            sink(event)

        if begin:
            self.watch(begun)
        recorded = self.recorder.run(replace(_order(made, spec), begin=begin), pass_on)
        if recorded is None:
            return None
        outcome, of_point = recorded.outcome, _is_point(made)
        reason = outcome.reason or said_of(outcome.retry)
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
        """Tell the watcher of a trial that the pruner spares its last `runs` seeds."""
        self.watch(
            RunNotice(made.cell, made.phase, made.trial, state="pruned", reason=reason, runs=runs)
        )

    def model_folder(self, spec: RunSpec) -> Path:
        """Name the folder where a run leaves its trained model."""
        return self.recorder.store.run_dir(spec.digest()) / "model"


def group_of(cell: Cell, phase: Phase, trial: int | None) -> Group:
    """Name a configuration of a cell for the tracker."""
    return Group(
        study=cell.study.name,
        task=cell.task,
        model=cell.model,
        arm=cell.arm,
        phase=phase,
        trial=trial,
        cell=cell.fingerprint(),
    )


def _order(made: Configuration, spec: RunSpec) -> Order:
    return Order(
        spec,
        made.group_id,
        made.name,
        made.cell.data.get(spec.seeds.data, {}),
        shared=made.shared,
        searched=made.trial is not None,
        title=_title(made, spec),
        needs=_needs(made),
    )


def _is_point(made: Configuration) -> bool:
    """Say whether a configuration is one of several methods that its cell's search tries."""
    space = made.cell.study.arms[made.cell.arm].space
    return made.phase == "search" and any(name.startswith("method.") for name in space)


def _needs(made: Configuration) -> frozenset[str]:
    """Name the metrics that a configuration's runs are judged by."""
    study = made.cell.study
    judged = study.objectives() if made.phase == "search" else (Objective(metric=study.metric),)
    return frozenset(objective.logged for objective in judged)


def _title(made: Configuration, spec: RunSpec) -> str:
    return f"{made.cell.label}, {made.phase}, seed {spec.seeds.init}"


def _group_claim(made: Configuration) -> str:
    return f"group {made.name}"
