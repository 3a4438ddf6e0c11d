"""Do runs of chosen configurations on fresh seeds, never pruned, with other launchers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from trainers.contract import RunEvent, RunSpec
from tuner.store import RunInterrupted, RunState
from tuner.store.outcome import Outcome
from tuner.study.attempt import Recorded
from tuner.study.failures import TooManyFailures
from tuner.study.session import Configuration, Session
from tuner.study.threads import map_threads


@dataclass(frozen=True)
class SeedRun:
    """A run's configuration, spec and record; no record if it was not begun."""

    made: Configuration
    spec: RunSpec
    recorded: Recorded | None

    @property
    def outcome(self) -> Outcome | None:
        """The run's outcome."""
        return self.recorded.outcome if self.recorded else None


def do_runs(
    wanted: Sequence[tuple[Configuration, RunSpec]], session: Session, *, parallel: int
) -> list[SeedRun]:
    """Do the runs that no other launcher is doing, then wait for the others.

    Args:
        wanted: The runs of one cell, each with its configuration.
        session: The study's session.
        parallel: Runs at once.

    Returns:
        The runs in the given order. Once the time is up, nothing more is begun.
    """

    def work(index: int, *, wait: bool) -> tuple[int, SeedRun] | None:
        made, spec = wanted[index]
        while not session.failures.fault_of(made.cell):
            session.failures.check()
            late = session.time_is_up()
            done = session.try_run(made, spec, _watch_only, begin=not late)
            if done is not None:
                return index, SeedRun(made, spec, done)
            if late:
                session.late.add(made.cell.label)
                break
            if not wait:
                return None
            session.shutdown.pause(session.poll_seconds)
        return index, SeedRun(made, spec, None)

    runs: dict[int, SeedRun] = {}
    with _closed_on_error([made for made, _ in wanted], session):
        for wait in (False, True):
            left = [index for index in range(len(wanted)) if index not in runs]
            found = map_threads(
                partial(work, wait=wait), left, parallel, on_error=session.shutdown.begin
            )
            runs |= dict(one for one in found if one is not None)
    return [runs[index] for index in range(len(wanted))]


@contextlib.contextmanager
def _closed_on_error(configurations: Sequence[Configuration], session: Session) -> Iterator[None]:
    """Record that configurations were interrupted, or that too many runs had failed."""
    try:
        yield
    except (KeyboardInterrupt, RunInterrupted):
        for made in configurations:
            session.leave(made)
        raise
    except TooManyFailures as error:
        for made in configurations:
            session.close(made, "failed", str(error))
        raise


def close(made: Configuration, session: Session, runs: Sequence[SeedRun]) -> int:
    """Close a configuration, unless other launchers are doing its runs; count the missing runs.

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


def _watch_only(event: RunEvent) -> None:
    """Take an event and never stop the run."""
