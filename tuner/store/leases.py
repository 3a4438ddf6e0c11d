"""A launcher's lease: a row that it renews, by which others see whether it is alive."""

from __future__ import annotations

import contextlib
import os
import platform
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import (
    Column,
    ColumnElement,
    Double,
    Engine,
    Table,
    Text,
    literal_column,
    select,
    update,
)

from trainers.errors import TunerError
from tuner.store.database import (
    TABLES,
    DatabaseLost,
    Outage,
    RetryPolicy,
    RunInterrupted,
)
from tuner.store.full_disk import missing_space

LEASES = Table(
    "leases",
    TABLES,
    Column("launcher", Text, primary_key=True),  # see `Launcher`
    Column("expires", Double, nullable=False),  # by the database's clock; 0: taken for dead
)
_CLOCKS = {
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) AS double precision)",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}
_BEATS = 2
"""Number of heartbeats that may be missed."""


class LauncherReplaced(TunerError):
    """Other launchers have taken over this launcher's runs."""

    exit_code = 1

    def __init__(self) -> None:
        super().__init__(
            "this launcher was silent for too long, and another has taken its runs over; "
            "the same command joins in again"
        )


@dataclass(frozen=True)
class Launcher:
    """A launcher; its name identifies its process and machine."""

    mark: str
    """A unique text."""
    process: str
    """Process id and start time: ids are reused."""
    place: str
    """The scope of process ids: host, boot of its kernel, process namespace."""

    @property
    def name(self) -> str:
        """Name in the database."""
        return f"{self.mark} {self.process} {self.place}"

    @classmethod
    def named(cls, name: str) -> Launcher:
        """Return the launcher of a name."""
        mark, process, place = name.split(" ", 2)
        return cls(mark, process, place)

    @classmethod
    def here(cls) -> Launcher:
        """Return this process as a new launcher."""
        process = f"{os.getpid()},{psutil.Process().create_time()}"
        return cls(uuid.uuid4().hex[:12], process, _place())

    def is_gone(self) -> bool:
        """Return whether its process has ended, as far as this machine can tell."""
        return self.place == _place() and not _runs(self.process)


class Lease:
    """The lease of this launcher, and the check of others' leases. Thread-safe.

    The row has the time until which the launcher counts as alive; a thread renews it. A
    launcher found dead is marked so by one atomic step, and the journal accepts no line of it
    from then on.

    Args:
        engine: Engine of the database, made by `open_engine`.
        policy: Retries during an outage of the database.
        heartbeat_seconds: Time between signs of life.
        on_replaced: Called once if other launchers have taken this one for dead.
    """

    def __init__(
        self,
        engine: Engine,
        policy: RetryPolicy,
        heartbeat_seconds: float,
        *,
        on_replaced: Callable[[], None],
    ) -> None:
        self.launcher = Launcher.here().name
        self.replaced = False
        self._engine = engine
        self._policy = policy
        self._seconds = heartbeat_seconds
        self._on_replaced = on_replaced
        self._clock = _database_clock(engine)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, daemon=True)

    def open(self) -> None:
        """Insert the row and start to renew it."""
        later = self._clock + _BEATS * self._seconds
        with self._engine.begin() as connection:
            connection.execute(LEASES.insert().values(launcher=self.launcher, expires=later))
        self._thread.start()

    def close(self) -> None:
        """Mark this launcher as gone, so that others need not wait until its lease expires."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        with contextlib.suppress(Outage):
            self._mark_dead(self.launcher)

    def check(self) -> None:
        """Do nothing while this launcher counts as alive.

        Raises:
            LauncherReplaced: Others have taken this launcher for dead.
        """
        if self.replaced:
            raise LauncherReplaced

    def check_now(self) -> None:
        """Do as `check`, by the database; during an outage nothing is raised.

        Raises:
            LauncherReplaced: Others have taken this launcher for dead.
        """
        with contextlib.suppress(Outage):
            self.replaced = self.replaced or not self._beat()
        self.check()

    def is_alive(self, name: str) -> bool:
        """Return whether a launcher may be alive; one that is not stays dead."""
        if name == self.launcher:
            return True
        query = select(LEASES.c.expires, (LEASES.c.expires < self._clock).label("silent"))
        with self._engine.connect() as connection:
            row = connection.execute(query.where(LEASES.c.launcher == name)).one_or_none()
        if row is None or row.expires == 0:
            return False
        if Launcher.named(name).is_gone():
            self._mark_dead(name)
            return False
        if not row.silent or not self._calm():
            return True
        return not self._mark_dead(name, LEASES.c.expires < self._clock)

    def _calm(self) -> bool:
        """Return whether expired leases count: after an outage all must be renewed first."""
        back = self._policy.away_until
        return back is None or self._policy.clock() - back > _BEATS * self._seconds

    def _mark_dead(self, name: str, *conditions: ColumnElement[bool]) -> bool:
        found = (LEASES.c.launcher == name, *conditions)
        with self._engine.begin() as connection:
            done = connection.execute(update(LEASES).where(*found).values(expires=0))
        return done.rowcount == 1

    def _beat_on(self) -> None:
        while not self._closed.wait(self._seconds):
            try:
                alive = self._policy.persist(self._beat)
            except (DatabaseLost, RunInterrupted):
                return  # the study is ending, with an error of its own
            except Exception as error:
                if missing_space(error) is None:
                    raise
                continue  # any other write will fail too, and report it
            if not alive:
                self.replaced = True
                self._on_replaced()
                return

    def _beat(self) -> bool:
        if self._closed.is_set():
            return True
        mine = (LEASES.c.launcher == self.launcher, LEASES.c.expires > 0)
        later: Any = self._clock + _BEATS * self._seconds
        with self._engine.begin() as connection:
            done = connection.execute(update(LEASES).where(*mine).values(expires=later))
        return done.rowcount == 1


def holds(engine: Engine, launcher: str) -> bool:
    """Return whether a launcher's lease holds, without marking the launcher as dead."""
    lasts = LEASES.c.expires > _database_clock(engine)
    query = select(LEASES.c.launcher).where(LEASES.c.launcher == launcher, lasts)
    with engine.connect() as connection:
        found = connection.execute(query).one_or_none()
    return found is not None and not Launcher.named(launcher).is_gone()


def _database_clock(engine: Engine) -> ColumnElement[float]:
    """Return the database's time, in seconds since 1970: launchers' clocks may differ."""
    return literal_column(_CLOCKS[engine.dialect.name], Double)


def _place() -> str:
    boot, names = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    parts = [platform.node()]
    parts += [boot.read_text().strip(), os.readlink(names)] if boot.exists() else []
    return " ".join(parts)


def _runs(process: str) -> bool:
    pid, _, created = process.partition(",")
    try:
        return str(psutil.Process(int(pid)).create_time()) == created
    except psutil.NoSuchProcess:
        return False
