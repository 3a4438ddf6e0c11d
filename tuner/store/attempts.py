"""Attempts at pieces of work: by which launcher they were begun, and how they ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from trainers.plugins import Frozen
from tuner.store.journal import Journal
from tuner.store.leases import LauncherReplaced

Kind = Literal["begun", "ended", "reused", "kept", "closed"]


def cells_topic(study: str) -> str:
    """Return the topic of the attempts at a study's cells."""
    return f"cells {study}"


class AttemptLine(Frozen):
    """A line of the journal on an attempt."""

    kind: Kind
    """begun, ended, or for runs one of the kinds in `tuner.store.runs`."""
    name: str
    """Name of the piece of work."""
    number: int = 0
    """Number of the attempt, from 0."""
    launcher: str
    """The launcher that appended the line; for a dead one's attempt, the one that adopted it."""
    time: float
    """Seconds since 1970, by the launcher's clock."""
    content: str = ""
    """The work to do, or its result; "" where an attempt was abandoned."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at a piece of work: begun, then ended once."""

    name: str
    number: int
    launcher: str
    """The launcher that began it."""
    content: str
    """The work to do."""
    id: int
    """Id of its first line in the journal."""
    start: float
    """Seconds since 1970."""
    ended: str | None = None
    """Its result: None while it is running, "" where it was abandoned."""
    ended_by: str = ""
    """The launcher that ended it: another one if it was abandoned."""
    ended_id: int = 0
    """Id of its last line in the journal."""
    end: float | None = None
    """Seconds since 1970; None while it is running."""


def _nothing(attempt: Attempt) -> bool:
    return False


@dataclass
class Attempts:
    """The attempts of one topic, folded from the journal. Thread-safe.

    The first line of a living launcher holds a piece of work. A launcher that finds it dead ends
    its attempt and begins the next, by keys that only one launcher can insert.
    """

    journal: Journal
    topic: str
    _known: dict[str, list[Attempt]] = field(default_factory=dict)
    _read: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def of(self, name: str) -> Sequence[Attempt]:
        """Return the attempts at a piece of work so far, in order."""
        with self._lock:
            self.refresh()
            return tuple(self._known.get(name, ()))

    def all(self) -> dict[str, Sequence[Attempt]]:
        """Return all attempts so far, by the names of their work."""
        with self._lock:
            self.refresh()
            return {name: tuple(attempts) for name, attempts in self._known.items()}

    def take(
        self, name: str, content: str = "", *, enough: Callable[[Attempt], bool] = _nothing
    ) -> Attempt | None:
        """Begin a piece of work, unless it is done.

        Args:
            name: Its name.
            content: The work to do.
            enough: Returns whether an ended attempt is sufficient; the last such one is returned,
                and nothing is begun.

        Returns:
            The attempt; None while a living launcher, this one included, is doing it.

        Raises:
            LauncherReplaced: Others have taken this launcher for dead.
        """
        with self._lock:
            while True:
                self.refresh()
                tried = self._known.get(name, [])
                done = [one for one in tried if one.ended and enough(one)]
                if done:
                    return done[-1]
                if tried and tried[-1].ended is None:
                    if self.is_alive(tried[-1]):
                        return None
                    self._append("ended", name, tried[-1].number, "")
                number = len(tried)
                if self._append("begun", name, number, content):
                    self.refresh()
                    return self._known[name][number]

    def end(self, attempt: Attempt, content: str = "") -> None:
        """End an attempt of this launcher's; its first end stays.

        Args:
            attempt: An attempt that was begun here.
            content: Its result; "" where it is abandoned.

        Raises:
            LauncherReplaced: Others have taken this launcher for dead.
        """
        if self._append("ended", attempt.name, attempt.number, content):
            return
        if self.of(attempt.name)[attempt.number].ended_by != self.journal.writer.launcher:
            self.journal.writer.replaced = True
            raise LauncherReplaced

    def end_with_next(self, attempt: Attempt, content: str) -> None:
        """End an attempt of this launcher's in the transaction of the journal's next line."""
        line = self._line("ended", attempt.name, attempt.number, content)
        key = self._key("ended", attempt.name, attempt.number)
        self.journal.append_with_next(self.topic, line, key=key)

    def is_alive(self, attempt: Attempt) -> bool:
        """Return whether a living launcher is doing an attempt."""
        lease, policy = self.journal.writer, self.journal.policy
        return attempt.ended is None and policy.persist(lambda: lease.is_alive(attempt.launcher))

    def held(self) -> frozenset[str]:
        """Return the names of the work that living launchers are doing, this one included."""
        with self._lock:
            self.refresh()
            last = [attempts[-1] for attempts in self._known.values()]
        return frozenset(attempt.name for attempt in last if self.is_alive(attempt))

    def refresh(self) -> None:
        """Read the lines that were appended since the last call."""
        with self._lock:
            for number, text in self.journal.read(self.topic, self._read):
                self.fold(number, AttemptLine.model_validate_json(text))
                self._read = number

    def fold(self, number: int, line: AttemptLine) -> None:
        """Fold one line, the next in the order of ids.

        Args:
            number: Its id.
            line: The line.
        """
        if line.kind == "begun":
            begun = Attempt(line.name, line.number, line.launcher, line.content, number, line.time)
            self._known.setdefault(line.name, []).append(begun)
        elif line.kind == "ended":
            attempts = self._known[line.name]
            attempts[line.number] = replace(
                attempts[line.number],
                ended=line.content,
                ended_by=line.launcher,
                ended_id=number,
                end=line.time,
            )

    def _append(
        self, kind: Kind, name: str, number: int, content: str, *, key: str | None = None
    ) -> bool:
        line = self._line(kind, name, number, content)
        key = self._key(kind, name, number) if key is None else key
        return self.journal.append(self.topic, line, key=key)

    def _line(self, kind: Kind, name: str, number: int, content: str) -> str:
        line = AttemptLine(
            kind=kind,
            name=name,
            number=number,
            launcher=self.journal.writer.launcher,
            time=time.time(),
            content=content,
        )
        return line.model_dump_json()

    def _key(self, kind: Kind, name: str, number: int) -> str:
        return f"{self.topic}|{name}|{number}|{kind}"
