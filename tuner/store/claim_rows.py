"""The rows of claims in the database: each change of one is an atomic step."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Double,
    Engine,
    Insert,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    Update,
    delete,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from tuner.store.launchers import database_clock

HELD, DONE = "held", "done"
_TABLES = MetaData()
_CLAIMS = Table(
    "tuner_claims",
    _TABLES,
    Column("study", String(100), primary_key=True),  # empty: of all that share the database
    Column("name", Text, primary_key=True),  # what is claimed, such as `run <digest>`
    Column("owner", String(32), nullable=False),  # the launcher
    Column("state", String(4), nullable=False),  # held, or done
    Column("content", Text),  # what came out of it
    Column("version", Integer, nullable=False),  # counts changes, so that none is overlooked
    Column("changed", Double, nullable=False),  # by the database's clock
)


@dataclass(frozen=True)
class ClaimRows:
    """The rows of one study, or of all, as one launcher may change them. Thread-safe."""

    engine: Engine
    study: str
    launcher: str
    _dropped: list[str] = field(default_factory=list)

    def make_table(self) -> None:
        """Make the table where there is none."""
        _TABLES.create_all(self.engine)

    def read(self, name: str) -> Row[Any] | None:
        """Return a row."""
        with self.engine.connect() as connection:
            return connection.execute(select(_CLAIMS).where(*self._named(name))).one_or_none()

    def held(self) -> Sequence[Row[str, str]]:
        """Return name and owner of all that is held."""
        query = select(_CLAIMS.c.name, _CLAIMS.c.owner)
        query = query.where(_CLAIMS.c.study == self.study, _CLAIMS.c.state == HELD)
        with self.engine.connect() as connection:
            return connection.execute(query).all()

    def insert(self, name: str) -> bool:
        """Be the first: the primary key lets one through."""
        with contextlib.suppress(IntegrityError), self.engine.begin() as connection:
            connection.execute(self._new(name))
            return True
        return False

    def swap(self, row: Row[Any]) -> bool:
        """Take what is done or abandoned, unless it has changed since it was read."""
        unchanged = (
            *self._named(row.name),
            _CLAIMS.c.owner == row.owner,
            _CLAIMS.c.version == row.version,
        )
        values = self._mine(HELD) | {"version": row.version + 1}
        with self.engine.begin() as connection:
            done = connection.execute(update(_CLAIMS).where(*unchanged).values(values))
        return done.rowcount == 1

    def complete(self, name: str, content: str) -> bool:
        """Say what came out; False where it is not this launcher's any more."""
        with self.engine.begin() as connection:
            return connection.execute(self._completed(name, content)).rowcount == 1

    def complete_and_take(self, name: str, content: str, wanted: Sequence[str]) -> bool:
        """Complete one and take new ones, in one step; False where it has not been done now."""
        with contextlib.suppress(IntegrityError):
            with self.engine.begin() as connection:
                swept = self._sweep(connection)
                for new in wanted:
                    connection.execute(self._new(new))
                done = connection.execute(self._completed(name, content)).rowcount == 1
            self._forget(swept)
            return done
        return False

    def release(self, name: str) -> None:
        """Delete a row that this launcher holds."""
        mine = (*self._named(name), self._is_mine(), _CLAIMS.c.state == HELD)
        with self.engine.begin() as connection:
            connection.execute(delete(_CLAIMS).where(*mine))

    def drop(self, name: str) -> None:
        """Delete a row of this launcher's with some later step."""
        self._dropped.append(name)

    def sweep(self) -> None:
        """Delete what has been dropped."""
        if not self._dropped:
            return
        with self.engine.begin() as connection:
            swept = self._sweep(connection)
        self._forget(swept)

    def _sweep(self, connection: Connection) -> list[str]:
        names = list(self._dropped)
        if names:
            mine = (_CLAIMS.c.study == self.study, self._is_mine(), _CLAIMS.c.name.in_(names))
            connection.execute(delete(_CLAIMS).where(*mine))
        return names

    def _forget(self, swept: Sequence[str]) -> None:
        for name in swept:
            with contextlib.suppress(ValueError):  # another thread has swept it too
                self._dropped.remove(name)

    def _new(self, name: str) -> Insert:
        row = {"study": self.study, "name": name, "version": 0, **self._mine(HELD)}
        return _CLAIMS.insert().values(row)

    def _completed(self, name: str, content: str) -> Update:
        values = self._mine(DONE) | {"content": content, "version": _CLAIMS.c.version + 1}
        return update(_CLAIMS).where(*self._named(name), self._is_mine()).values(values)

    def _mine(self, state: str) -> dict[str, Any]:
        now = database_clock(self.engine)
        return {"owner": self.launcher, "state": state, "changed": now}

    def _is_mine(self) -> Any:
        return _CLAIMS.c.owner == self.launcher

    def _named(self, name: str) -> tuple[Any, ...]:
        return (_CLAIMS.c.study == self.study, _CLAIMS.c.name == name)
