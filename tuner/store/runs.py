"""The runs of a store, folded from its journal: attempts, and their configurations."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from trainers.contract import RunEvent, Seeds, flatten
from trainers.plugins import Frozen
from tuner.store.attempts import Attempt, AttemptLine, Attempts
from tuner.store.journal import Journal
from tuner.store.outcome import Outcome
from tuner.store.records import LAUNCHER_DIED, Group, RunRecord, RunState

RUNS = "runs"
"""Topic of the attempts at runs. Beside begun and ended, its lines have three kinds. reused: a
configuration, the line's content, reuses a run of another one. kept: the study keeps the run's
model. closed: a configuration, the line's name, has ended for now."""
_SECONDS_BETWEEN_LINES = 1.0


class RunBegun(Frozen):
    """The work of an attempt at a run."""

    group: Group
    """The configuration that the run is done for."""
    spec: dict[str, Any]
    """The run's spec as JSON."""
    retry: Mapping[str, str] = {}
    """Changes of the spec after out of memory, such as `retry.batch_size`."""


class GroupEnd(Frozen):
    """The end of a configuration."""

    state: RunState
    reason: str = ""


@dataclass(frozen=True)
class Run:
    """An attempt in a configuration: its own, or one that reuses it."""

    group: Group
    attempt: Attempt

    @cached_property
    def begun(self) -> RunBegun:
        """The work of the attempt."""
        return RunBegun.model_validate_json(self.attempt.content)

    @cached_property
    def outcome(self) -> Outcome | None:
        """Its outcome; None while it is running."""
        if self.attempt.ended is None:
            return None
        if not self.attempt.ended:
            return Outcome(state="killed", reason=LAUNCHER_DIED)
        return Outcome.model_validate_json(self.attempt.ended)

    @property
    def id(self) -> str:
        """Its identifier."""
        return self.group.run_id(self.attempt.name, self.attempt.number)

    def params(self) -> dict[str, str]:
        """Return its flattened spec, and its changes after out of memory."""
        flat = {name: str(value) for name, value in flatten(self.begun.spec)}
        return {**flat, **self.begun.retry}

    def seeds(self) -> Seeds:
        """Return its seeds."""
        return Seeds.model_validate(self.begun.spec["seeds"])

    def metrics(self) -> dict[str, float]:
        """Return the last value of every metric."""
        if self.outcome is None:
            return {}
        final = final_metrics(self.outcome)
        return {**self.outcome.metrics, **final}

    def facts(self) -> dict[str, str]:
        """Return the facts of its environment and data."""
        if self.outcome is None:
            return {}
        result = self.outcome.result
        return {**self.outcome.facts, **(result.facts if result else {})}


def final_metrics(outcome: Outcome) -> dict[str, float]:
    """Return the metrics of an ended run; of one without a result, the epochs that it trained."""
    result = outcome.result
    trained = {} if outcome.epochs is None else {"epochs": outcome.epochs}
    return trained | (result.metrics() | {"epoch": result.epoch} if result else {})


class Runs(Attempts):
    """The attempts at runs of all studies of a store. Thread-safe."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal, RUNS)
        self._places: dict[tuple[Group, str, int], int] = {}
        self._ends: dict[Group, tuple[GroupEnd, int]] = {}
        self._last: dict[Group, int] = {}

    def fold(self, number: int, line: AttemptLine) -> None:
        """Fold one line."""
        super().fold(number, line)
        if line.kind == "begun":
            group = RunBegun.model_validate_json(line.content).group
        elif line.kind == "reused":
            group = Group.model_validate_json(line.content)
        elif line.kind == "closed":
            group = Group.model_validate_json(line.name)
            self._ends[group] = GroupEnd.model_validate_json(line.content), number
            return
        else:
            return
        self._places[group, line.name, line.number] = number
        self._last[group] = number

    def own(self, digest: str, number: int) -> Run:
        """Return an attempt in its own configuration."""
        attempt = self._known[digest][number]
        return Run(RunBegun.model_validate_json(attempt.content).group, attempt)

    def attempt(self, digest: str, number: int) -> Attempt:
        """Return an attempt."""
        return self._known[digest][number]

    def in_study(self, study: str) -> list[Run]:
        """Return the runs of a study, in the order of their begin or reuse."""
        return [run for run in self._all() if run.group.study == study]

    def in_group(self, group: Group) -> list[Run]:
        """Return the runs of a configuration, in the order of their begin or reuse."""
        return [run for run in self._all() if run.group == group]

    def finished(self, group: Group) -> list[Outcome]:
        """Return the outcomes of a configuration's finished runs, one for each run."""
        found = {
            run.attempt.name: run.outcome
            for run in self.in_group(group)
            if run.outcome is not None and run.outcome.result is not None
        }
        return list(found.values())

    def state_of(self, group: Group) -> GroupEnd:
        """Return the state of a configuration."""
        with self._lock:
            end, number = self._ends.get(group, (GroupEnd(state="running"), 0))
            return end if number > self._last.get(group, 0) else GroupEnd(state="running")

    def reuse(self, attempt: Attempt, group: Group) -> None:
        """Reuse an ended run in another configuration, once."""
        content = group.model_dump_json()
        if (group, attempt.name, attempt.number) in self._places:
            return
        mark = hashlib.sha256(content.encode()).hexdigest()[:16]
        key = f"reused|{attempt.name}|{attempt.number}|{mark}"
        self._append("reused", attempt.name, attempt.number, content, key=key)

    def keep(self, attempt: Attempt, group: Group) -> None:
        """Note that a study keeps the model of a run."""
        content = group.model_dump_json()
        self._append("kept", attempt.name, attempt.number, content)

    def close(self, group: Group, end: GroupEnd) -> None:
        """Note with the journal's next line that a configuration has ended, unless it is known."""
        self.refresh()
        if self.state_of(group) != end:
            line = self._line("closed", group.model_dump_json(), 0, end.model_dump_json())
            self.journal.append_with_next(self.topic, line)

    def _all(self) -> Iterator[Run]:
        with self._lock:
            self.refresh()
            places = list(self._places)
            return iter([Run(g, self._known[name][number]) for g, name, number in places])


def record_of(run: Run, runs: Runs, ids: Mapping[str, str]) -> RunRecord:
    """Return the record of a run.

    Args:
        run: The run.
        runs: The store's runs.
        ids: MLflow's identifiers of runs and configurations, by our own.
    """
    outcome = run.outcome
    # Not validated again: a loss may be NaN, which a record would refuse.
    return RunRecord.model_construct(
        run_id=ids.get(run.id, run.id),
        parent_id=ids.get(run.group.id, run.group.id),
        group=run.group,
        digest=run.attempt.name,
        seeds=run.seeds(),
        state=outcome.state if outcome else "running",
        reason=outcome.reason if outcome else "",
        params=run.params(),
        metrics=run.metrics(),
        facts=run.facts(),
        start=run.attempt.start,
        end=run.attempt.end,
        group_state=runs.state_of(run.group).state,
    )


def event_topic(digest: str, number: int) -> str:
    """Return the topic of the events of an attempt."""
    return f"events {digest} {number}"


@dataclass
class EventLog:
    """The events of one attempt in the journal: about one line a second.

    The last of them are appended with the line that ends the attempt.
    """

    journal: Journal
    topic: str
    metrics: dict[str, float] = field(default_factory=dict)
    """The last value of each metric."""
    facts: dict[str, str] = field(default_factory=dict)
    epochs: float | None = None
    """Epochs trained so far; None before the first step that was logged."""
    _pending: list[RunEvent] = field(default_factory=list)
    _flushed: float = field(default_factory=time.monotonic)

    def write(self, event: RunEvent) -> None:
        """Append an event, or keep it back where the last line is younger than a second."""
        self.metrics |= event.metrics
        if event.kind in ("step", "epoch"):
            self.epochs = event.epoch
        self.facts |= event.facts
        self._pending.append(event)
        if time.monotonic() - self._flushed >= _SECONDS_BETWEEN_LINES:
            self.journal.append(self.topic, _dump(self._pending))
            self._pending, self._flushed = [], time.monotonic()

    def finish(self) -> None:
        """Append the events that were kept back, with the line that ends the attempt."""
        if self._pending:
            self.journal.append_with_next(self.topic, _dump(self._pending))
            self._pending = []


def read_events(journal: Journal, topic: str) -> Iterator[RunEvent]:
    """Yield the events of an attempt."""
    for _, line in journal.read(topic):
        yield from parse_events(line)


def parse_events(line: str) -> Sequence[RunEvent]:
    """Return the events of one line."""
    return _Events.model_validate_json(line).events


class _Events(Frozen):
    events: tuple[RunEvent, ...]


def _dump(events: Iterable[RunEvent]) -> str:
    return _Events(events=tuple(events)).model_dump_json()
