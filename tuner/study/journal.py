"""Keep a run's events: each in its folder at once, and in the tracker in batches."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from trainers.contract import Emit, RunEvent
from tuner.tracking import Tracker

_SECONDS_BETWEEN_FLUSHES = 5.0


def read_journal(folder: Path) -> Iterator[RunEvent]:
    """Yield the events of the run of this folder."""
    path = folder / "events.jsonl"
    for line in path.read_text().splitlines() if path.exists() else ():
        yield RunEvent.model_validate_json(line)


class Journal:
    """Writes each event to `events.jsonl` at once, and to the tracker in batches."""

    def __init__(
        self, folder: Path, tracker: Tracker, run_id: str, *, facts: Mapping[str, str]
    ) -> None:
        """Open the files; `facts` are added to those that the run begins with."""
        self._file = (folder / "events.jsonl").open("w", encoding="utf-8")
        self._tracker = tracker
        self._run_id = run_id
        self._facts = facts
        self._pending: list[RunEvent] = []
        self._flushed = time.monotonic()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self._flush()
        self._file.close()

    def before(self, watch: Emit) -> Emit:
        """Return a receiver that writes each event down before `watch` sees it."""

        def emit(event: RunEvent) -> None:
            if event.kind == "start":
                event = event.model_copy(update={"facts": {**event.facts, **self._facts}})
            self.write(event)
            watch(event)

        return emit

    def write(self, event: RunEvent) -> None:
        """Write an event down."""
        self._file.write(event.model_dump_json() + "\n")
        self._file.flush()
        self._pending.append(event)
        if time.monotonic() - self._flushed > _SECONDS_BETWEEN_FLUSHES:
            self._flush()

    def _flush(self) -> None:
        self._tracker.log(self._run_id, self._pending)
        self._pending = []
        self._flushed = time.monotonic()


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or none."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
