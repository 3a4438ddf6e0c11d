"""The append-only log of a store: the only truth about what was begun and how it ended."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple
from uuid import uuid4

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    Table,
    Text,
    func,
    select,
    text,
)

from tuner.store.database import TABLES, RetryPolicy
from tuner.store.leases import LauncherReplaced, Lease

JOURNAL = Table(
    "journal",
    TABLES,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("topic", Text, nullable=False),
    Column("line", Text, nullable=False),
)
Index("journal_by_topic", JOURNAL.c.topic, JOURNAL.c.id)
_APPEND = text(
    "INSERT INTO journal (key, topic, line) "
    "SELECT CAST(:key AS TEXT), CAST(:topic AS TEXT), CAST(:line AS TEXT) "
    "WHERE EXISTS (SELECT 1 FROM leases WHERE launcher = :launcher AND expires > 0) "
    "ON CONFLICT (key) DO NOTHING"
)
"""A launcher that was taken for dead appends nothing."""
_IN_ORDER = 0x6A6F7572
"""Key of PostgreSQL's advisory lock: any number that no other program uses."""


class Line(NamedTuple):
    """A line of the journal; the fields are the columns of its row."""

    id: int
    line: str


class TopicLine(NamedTuple):
    """A line of the journal, with its topic."""

    id: int
    topic: str
    line: str


@dataclass(frozen=True)
class Journal:
    """The journal of a store, as one launcher reads it and appends to it. Thread-safe.

    Lines are in the order of their ids: after reading up to an id, no smaller one appears.
    Every step may be repeated, and waits during an outage of the database.
    """

    engine: Engine
    policy: RetryPolicy
    lease: Lease | None = None
    """This launcher's lease; None: the journal is only read."""
    _kept: list[dict[str, str]] = field(default_factory=list)
    """Rows that go with the next line: each transaction waits for the disk."""

    @property
    def writer(self) -> Lease:
        """The lease of the launcher that appends."""
        assert self.lease is not None
        return self.lease

    def append(self, topic: str, line: str, *, key: str = "") -> bool:
        """Append a line, unless its key has been used.

        Args:
            topic: Its subject; lines are read by topic.
            line: JSON.
            key: Only one line of a key is appended; by default a key of its own.

        Returns:
            Whether the line is in the journal: False where another line has the key.

        Raises:
            LauncherReplaced: Others have taken this launcher for dead.
        """
        row = _row(topic, line, key)
        return self.policy.persist(lambda: self._append(row))

    def append_with_next(self, topic: str, line: str, *, key: str = "") -> None:
        """Append a line in the transaction of the next one, before it.

        The caller appends that one at once, or calls `flush`: until then only memory has the line.
        One whose key has been used is dropped.
        """
        self._kept.append(_row(topic, line, key))

    def flush(self) -> None:
        """Append what `append_with_next` has kept, if no other line took it along."""
        while last := self._kept[-1:]:
            self.policy.persist(partial(self._append, last[0]))

    def _append(self, row: dict[str, str]) -> bool:
        """Append a row behind those that were kept; one that another thread took is dropped."""
        lease, kept = self.writer, list(self._kept)
        lease.check()
        with self.engine.begin() as connection:
            _in_order(connection)
            launcher = {"launcher": lease.launcher}
            for earlier in kept:
                connection.execute(_APPEND, earlier | launcher)
            appended = connection.execute(_APPEND, row | launcher).rowcount == 1
            query = select(JOURNAL.c.line).where(JOURNAL.c.key == row["key"])
            found = row["line"] if appended else connection.execute(query).scalar_one_or_none()
        for earlier in kept:
            with contextlib.suppress(ValueError):
                self._kept.remove(earlier)
        if found is None:
            lease.replaced = True
            raise LauncherReplaced
        return bool(found == row["line"])  # it was appended before the connection was lost

    def last_id(self) -> int:
        """Return the id of the last line; 0 while there is none."""
        query = select(func.max(JOURNAL.c.id))

        def found() -> int:
            with self.engine.connect() as connection:
                return connection.execute(query).scalar_one() or 0

        return self.policy.persist(found)

    def read_mixed(
        self, topics: Sequence[str], prefix: str, after: int, limit: int | None
    ) -> Sequence[TopicLine]:
        """Return the lines of several topics after an id, in order.

        Args:
            topics: Their names.
            prefix: Topics with this prefix are read too.
            after: Only lines with a larger id.
            limit: Most lines; None: all.
        """
        columns = JOURNAL.c
        wanted = columns.topic.in_(topics) | columns.topic.startswith(prefix, autoescape=True)
        query = select(columns.id, columns.topic, columns.line)
        query = query.where(columns.id > after, wanted).order_by(columns.id).limit(limit)

        def rows() -> list[TopicLine]:
            with self.engine.connect() as connection:
                return [TopicLine(*row) for row in connection.execute(query)]

        return self.policy.persist(rows)

    def read(self, topic: str, after: int = 0) -> Sequence[Line]:
        """Return the lines of a topic after an id, in order."""
        query = select(JOURNAL.c.id, JOURNAL.c.line)
        query = query.where(JOURNAL.c.topic == topic, JOURNAL.c.id > after).order_by(JOURNAL.c.id)

        def rows() -> list[Line]:
            with self.engine.connect() as connection:
                return [Line(*row) for row in connection.execute(query)]

        return self.policy.persist(rows)


def _row(topic: str, line: str, key: str) -> dict[str, str]:
    return {"key": key or uuid4().hex, "topic": topic, "line": line}


def _in_order(connection: Connection) -> None:
    """Append one line at a time: else a line could be read before one with a smaller id."""
    if connection.dialect.name == "postgresql":  # SQLite has a single writer
        connection.execute(select(func.pg_advisory_xact_lock(_IN_ORDER)))
