"""Claim a piece of work by one atomic step in the database that launchers share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sqlalchemy import Engine

from tuner.store.claim_rows import DONE, HELD, ClaimRows
from tuner.store.database import Outage, Patience
from tuner.store.launchers import Launcher, LauncherReplaced

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
    """The claims on the work of one study, or on that which all studies of a database share.

    A claim is its launcher's as long as the launcher lives. Threads of one launcher see to it
    themselves that no two of them take the same.
    """

    engine: Engine
    study: str
    """Its name; empty: all of them."""
    launcher: Launcher
    patience: Patience
    pause: Callable[[float], None]
    """Waits so many seconds; may raise to give up."""
    poll_seconds: float = field(default=1.0)
    """Time between two looks at a claim that another launcher holds."""
    _rows: ClaimRows = field(init=False)

    def __post_init__(self) -> None:
        rows = ClaimRows(self.engine, self.study, self.launcher.name)
        object.__setattr__(self, "_rows", rows)

    def of_all_studies(self) -> Claims:
        """Return this launcher's claims on what no two studies may do at once."""
        return replace(self, study="")

    def open(self) -> None:
        """Make the table where there is none, and enter this launcher."""
        self._rows.make_table()
        self.launcher.open()

    def close(self) -> None:
        """Give up what is held, and leave. Where the database is away, silence will tell."""
        with contextlib.suppress(Outage):
            self._rows.sweep()
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
        self.patience.persist(lambda: self._complete(name, content))

    def release(self, name: str) -> None:
        """Give up a claim at once. Where the database is away, silence will tell."""
        with contextlib.suppress(Outage):
            self._rows.release(name)

    def drop(self, name: str) -> None:
        """Give up a claim on what nobody will ask for again: it goes with some later step."""
        self._rows.drop(name)

    @contextlib.contextmanager
    def exclusive(self, name: str) -> Iterator[Exclusive]:
        """Keep other launchers out for a moment; what is noted is found by the next.

        What is wanted, and new, is this launcher's in the same step that lets others in.
        """
        while (taken := self.take(name)) is None:
            self.pause(min(0.1, self.poll_seconds))
        held = Exclusive(taken.before or "", others=taken.by != "this" or taken.again)
        try:
            yield held
        except BaseException:
            with contextlib.suppress(Outage):
                self._complete(name, held.note)
            raise
        self.patience.persist(lambda: self._let_in(name, held))

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Keep other launchers out for a moment; nothing is noted."""
        new = True
        while self.take(name, new=new) is None:
            new = False
            self.pause(min(0.1, self.poll_seconds))
        try:
            yield
        except BaseException:
            self.release(name)
            raise
        self.patience.persist(lambda: self._rows.release(name))

    def held(self) -> frozenset[str]:
        """Return the names of what the study's living launchers hold, this one included."""
        return self.patience.persist(self._held)

    def _held(self) -> frozenset[str]:
        rows = self._rows.held()
        owners = {row.owner for row in rows if self.launcher.works_with(row.owner)}
        alive = {owner for owner in owners if self.launcher.is_alive(owner)}
        return frozenset(row.name for row in rows if row.owner in alive)

    def _take(self, name: str, accept: Accept, *, new: bool) -> Taken | None:
        self.launcher.check()
        if new and self._rows.insert(name):
            return Taken()
        while True:
            self.launcher.check()
            row = self._rows.read(name)
            if row is None:
                if self._rows.insert(name):
                    return Taken()
                continue
            mine = row.owner == self.launcher.name
            living = mine or self.launcher.is_alive(row.owner)
            by: Any = "this" if mine else "living" if living else "gone"
            fresh = row.changed >= self.launcher.started
            if row.state == DONE and accept(row.content or "", fresh):
                return Taken(content=row.content or "", by=by)
            if row.state == HELD and mine:
                return Taken(before=row.content, by=by, again=True)
            if row.state == HELD and living:
                return None
            if self._rows.swap(row):
                return Taken(before=row.content, by=by)

    def _keep(self, name: str) -> None:
        self.launcher.check()
        row = self._rows.read(name)
        if row is None or row.owner != self.launcher.name or row.state != HELD:
            raise LauncherReplaced

    def _complete(self, name: str, content: str) -> None:
        self.launcher.check()
        if not self._rows.complete(name, content):
            raise LauncherReplaced

    def _let_in(self, name: str, held: Exclusive) -> None:
        self.launcher.check()
        if self._rows.complete_and_take(name, held.note, held.wanted):
            return
        self.launcher.check_now()
        row = self._rows.read(name)
        if row is None or row.owner != self.launcher.name or row.state != HELD:
            return  # it was done before the connection was lost
        for wanted in held.wanted:  # a row of that name has been left by somebody
            if self._take(wanted, lambda content, fresh: False, new=False) is None:
                raise LauncherReplaced
        self._complete(name, held.note)


@dataclass
class Exclusive:
    """What is noted while others are kept out."""

    note: str
    others: bool
    """Another launcher may have been here since this one was."""
    wanted: list[str] = field(default_factory=list)
    """New claims that this launcher is to hold from then on."""
