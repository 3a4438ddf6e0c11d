"""The events and files of a run, for MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainers.contract import RunEvent
from tuner.store import Store
from tuner.store.journal import Journal
from tuner.store.outcome import Outcome
from tuner.store.runs import Run, event_topic, read_events

_FILES = ("spec.json", "environment.json", "predictions.parquet")
_FILES_OF_FAILED = (*_FILES, "stderr.log")


def events_of(journal: Journal, run: Run) -> Sequence[RunEvent]:
    """Return the events of a run."""
    topic = event_topic(run.attempt.name, run.attempt.number)
    return list(read_events(journal, topic))


def last_step(journal: Journal, run: Run) -> int:
    """Return the last step of a run's events; 0 where it has none."""
    return max((event.step for event in events_of(journal, run)), default=0)


def files_of(store: Store, run: Run, outcome: Outcome) -> list[Path]:
    """Return the files of a run that are on this machine."""
    folder = store.run_dir(run.attempt.name, run.attempt.number)
    names = _FILES_OF_FAILED if outcome.state in ("diverged", "failed") else _FILES
    return [folder / name for name in names if (folder / name).is_file()]
