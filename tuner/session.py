"""What the runs of one study share while it runs: recorder, watcher, time and failures left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trainers.contract import Emit, RunEvent, RunSpec
from trainers.errors import TunerError
from tuner.plan import Cell, Phase
from tuner.progress import RunNotice, Watch
from tuner.record import Order, Outcome, Recorder
from tuner.trackers import Group


class TooManyFailures(TunerError):
    """More runs failed than the study bears."""

    exit_code = 1


@dataclass
class Session:
    """One call of `run_study`."""

    recorder: Recorder
    watch: Watch
    max_failures: int
    deadline: float | None
    """Moment on the clock after which nothing new is begun."""
    clock: Callable[[], float] = time.monotonic
    failures: list[str] = field(default_factory=list)
    """A line for every run that failed in this session."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def time_is_up(self) -> bool:
        """Say whether the deadline has passed."""
        return self.deadline is not None and self.clock() > self.deadline

    def open_group(self, cell: Cell, spec: RunSpec, *, phase: Phase, trial: int | None) -> str:
        """Open the tracker's record of one configuration and return its id."""
        params = {k: v for k, v in spec.flat().items() if not k.startswith("seeds.")}
        return self.recorder.tracker.open_group(group_of(cell, phase, trial), params)

    def run(
        self, cell: Cell, spec: RunSpec, group_id: str, *, trial: int | None, sink: Emit
    ) -> Outcome:
        """Do one run of a configuration, with notices to the watcher.

        Args:
            cell: Where the run belongs.
            spec: The run.
            group_id: Id that `open_group` returned.
            trial: Number of the trial; in the confirm phase, of the trial that was chosen.
            sink: Called with every event; may raise StopRun.
        """
        phase: Phase = "confirm" if spec.read_test else "search"
        started = self.clock()

        begun = RunNotice(
            cell=cell, phase=phase, trial=trial, seed=spec.seeds.init, epochs=spec.train.epochs
        )

        def notify(**changes: Any) -> None:
            self.watch(replace(begun, seconds=self.clock() - started, **changes))

        def pass_on(event: RunEvent) -> None:
            notify(event=event)
            sink(event)

        self.watch(begun)
        owner = f"{cell.label} {cell.fingerprint()} {phase} {trial}"
        order = Order(spec, group_id, owner, cell.data.get(spec.seeds.data, {}))
        recorded = self.recorder.run(order, pass_on)
        outcome = recorded.outcome
        notify(state=outcome.state, reason=outcome.reason, reused=recorded.reused)
        if outcome.state == "failed":
            with self._lock:
                self.failures.append(
                    f"{cell.label}, {phase}, seed {spec.seeds.init}: {outcome.reason}"
                )
        return outcome

    def model_folder(self, spec: RunSpec) -> Path:
        """Name the folder where a run leaves its trained model."""
        return self.recorder.store.run_dir(spec.digest()) / "model"

    def bear_failures(self) -> None:
        """Go on, or give up.

        Raises:
            TooManyFailures: One more run failed than the study bears.
        """
        with self._lock:
            if len(self.failures) > self.max_failures:
                raise TooManyFailures(
                    f"{len(self.failures)} runs failed, max_failures is {self.max_failures}; "
                    f"the last: {self.failures[-1]}"
                )


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
