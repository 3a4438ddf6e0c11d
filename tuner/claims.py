"""Claim a piece of work by one atomic step in the database that launchers share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import (
    Column,
    Double,
    Engine,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    delete,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from tuner.database import Outage, Patience
from tuner.launchers import Launcher, LauncherReplaced, database_clock

_TABLES = MetaData()
_CLAIMS = Table(
    "tuner_claims",
    _TABLES,
    Column("study", String(100), primary_key=True),
    Column("name", Text, primary_key=True),  # what is claimed, such as `run <digest>`
    Column("owner", String(32), nullable=False),  # the launcher
    Column("state", String(4), nullable=False),  # held, or done
    Column("content", Text),  # what came out of it
    Column("version", Integer, nullable=False),  # counts changes, so that none is overlooked
    Column("changed", Double, nullable=False),  # by the database's clock
)
_HELD, _DONE = "held", "done"

Accept = Callable[[str, bool], bool]
"""Says whether what came out of a piece of work will do; the flag tells that it came out since
this launcher was started."""


@dataclass(frozen=True)
class Taken:
    """A piece of work: done by somebody, or held by this launcher from now on."""

    content: str | None = None
    """What came out of it; None: this launcher holds it and has to do it."""
    before: str | None = None
    """What came out of it earlier and will not do."""
    by: Literal["nobody", "this", "living", "gone"] = "nobody"
    """The launcher that had it: this one, another that still lives, one that is gone."""
    again: bool = False
    """This launcher held it already, as it does where the answer to taking it was lost."""


@dataclass(frozen=True)
class Claims:
    """The claims on the work of one study.

    A claim is its launcher's as long as the launcher lives. Threads of one launcher see to it
    themselves that no two of them take the same.
    """

    engine: Engine
    study: str
    launcher: Launcher
    patience: Patience
    pause: Callable[[float], None]
    """Waits so many seconds; may raise to give up."""
    poll_seconds: float = field(default=1.0)
    """Time between two looks at a claim that another launcher holds."""

    def open(self) -> None:
        """Make the table where there is none, and enter this launcher."""
        _TABLES.create_all(self.engine)
        self.launcher.open()

    def close(self) -> None:
        """Give up what is held, and leave. Where the database is away, silence will tell."""
        with contextlib.suppress(Outage):
            self.launcher.close()

    def take(
        self, name: str, accept: Accept = lambda content, fresh: False, *, new: bool = False
    ) -> Taken | None:
        """Take a piece of work, unless it is done; None while another living launcher has it.

        Args:
            name: Its name.
            accept: Says whether what came out of it will do.
            new: Nobody is likely to have claimed it.
        """
        return self.patience.persist(lambda: self._take(name, accept, new=new))

    def keep(self, name: str) -> None:
        """Make sure that a claim is held, before something is done that cannot be undone.

        Raises:
            LauncherReplaced: It has been taken over.
        """
        self.patience.persist(lambda: self._keep(name))

    def complete(self, name: str, content: str = "") -> None:
        """Say what came out of a piece of work that this launcher holds.

        Raises:
            LauncherReplaced: It has been taken over.
        """
        self.patience.persist(lambda: self._put(name, state=_DONE, content=content))

    def release(self, name: str) -> None:
        """Give up a claim at once. Where the database is away, silence will tell."""
        mine = (*self._row(name), _CLAIMS.c.owner == self.launcher.name, _CLAIMS.c.state == _HELD)
        with contextlib.suppress(Outage), self.engine.begin() as connection:
            connection.execute(delete(_CLAIMS).where(*mine))

    @contextlib.contextmanager
    def exclusive(self, name: str) -> Iterator[Exclusive]:
        """Keep other launchers out for a moment; what is noted is found by the next."""
        while (taken := self.take(name)) is None:
            self.pause(min(0.1, self.poll_seconds))
        held = Exclusive(taken.before or "", others=taken.by != "this" or taken.again)
        try:
            yield held
        except BaseException:
            with contextlib.suppress(Outage):
                self._put(name, state=_DONE, content=held.note)
            raise
        self.complete(name, held.note)

    def held(self) -> frozenset[str]:
        """Return the names of what living launchers hold, this one included."""
        return self.patience.persist(self._held)

    def _held(self) -> frozenset[str]:
        query = select(_CLAIMS.c.name, _CLAIMS.c.owner)
        query = query.where(_CLAIMS.c.study == self.study, _CLAIMS.c.state == _HELD)
        with self.engine.connect() as connection:
            rows = connection.execute(query).all()
        alive = {owner for owner in {row.owner for row in rows} if self.launcher.is_alive(owner)}
        return frozenset(row.name for row in rows if row.owner in alive)

    def _take(self, name: str, accept: Accept, *, new: bool) -> Taken | None:
        self.launcher.check()
        if new and self._insert(name):
            return Taken()
        while True:
            self.launcher.check()
            row = self._read(name)
            if row is None:
                if self._insert(name):
                    return Taken()
                continue
            mine = row.owner == self.launcher.name
            living = mine or self.launcher.is_alive(row.owner)
            by: Any = "this" if mine else "living" if living else "gone"
            fresh = row.changed >= self.launcher.started
            if row.state == _DONE and accept(row.content or "", fresh):
                return Taken(content=row.content or "", by=by)
            if row.state == _HELD and mine:
                return Taken(before=row.content, by=by, again=True)
            if row.state == _HELD and living:
                return None
            if self._swap(row):
                return Taken(before=row.content, by=by)

    def _read(self, name: str) -> Row[Any] | None:
        with self.engine.connect() as connection:
            return connection.execute(select(_CLAIMS).where(*self._row(name))).one_or_none()

    def _insert(self, name: str) -> bool:
        """Be the first: the primary key lets one through."""
        values = {"study": self.study, "name": name, "version": 0, **self._mine(_HELD)}
        try:
            with self.engine.begin() as connection:
                connection.execute(_CLAIMS.insert().values(values))
        except IntegrityError:
            return False
        return True

    def _swap(self, row: Row[Any]) -> bool:
        """Take what is done or abandoned, unless it has changed since it was read."""
        unchanged = (
            *self._row(row.name),
            _CLAIMS.c.owner == row.owner,
            _CLAIMS.c.version == row.version,
        )
        values = self._mine(_HELD) | {"version": row.version + 1}
        with self.engine.begin() as connection:
            done = connection.execute(update(_CLAIMS).where(*unchanged).values(values))
        return done.rowcount == 1

    def _put(self, name: str, **values: str) -> None:
        self.launcher.check()
        mine = (*self._row(name), _CLAIMS.c.owner == self.launcher.name)
        values = self._mine(values.pop("state")) | values | {"version": _CLAIMS.c.version + 1}
        with self.engine.begin() as connection:
            done = connection.execute(update(_CLAIMS).where(*mine).values(values))
        if done.rowcount != 1:
            raise LauncherReplaced

    def _keep(self, name: str) -> None:
        self.launcher.check()
        row = self._read(name)
        if row is None or row.owner != self.launcher.name or row.state != _HELD:
            raise LauncherReplaced

    def _mine(self, state: str) -> dict[str, Any]:
        now = database_clock(self.engine)
        return {"owner": self.launcher.name, "state": state, "changed": now}

    def _row(self, name: str) -> tuple[Any, ...]:
        return (_CLAIMS.c.study == self.study, _CLAIMS.c.name == name)


@dataclass
class Exclusive:
    """What is noted while others are kept out."""

    note: str
    others: bool
    """Another launcher may have been here since this one was."""
