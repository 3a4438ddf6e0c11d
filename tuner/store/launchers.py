"""Keep this launcher's row in the shared database alive, and tell which launchers are gone."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Double,
    Engine,
    MetaData,
    String,
    Table,
    Text,
    literal_column,
    select,
    update,
)

from trainers.errors import TunerError
from tuner.store.database import DatabaseLost, Outage, Patience, RunInterrupted
from tuner.store.full_disk import missing_space

TABLES = MetaData()
LAUNCHERS = Table(
    "tuner_launchers",
    TABLES,
    Column("launcher", String(32), primary_key=True),
    Column("place", Text, nullable=False),  # machine, boot and process namespace
    Column("process", Text, nullable=False),  # process id and start time
    Column("started", Double, nullable=False),
    Column("expires", Double, nullable=False),  # taken for gone from then on
    Column("alive", Boolean, nullable=False),
)
_CLOCKS = {
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) AS double precision)",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}
_SLEEPS = hasattr(time, "CLOCK_BOOTTIME")
_BEATS = 2
"""Heartbeats that may be missed."""


class LauncherReplaced(TunerError):
    """Others have taken this launcher's runs over."""

    exit_code = 1

    def __init__(self) -> None:
        super().__init__(
            "this launcher was silent for too long, and another has taken its runs over; "
            "the same command joins in again"
        )


def database_clock(engine: Engine) -> ColumnElement[float]:
    """Return the database's own time, in seconds since 1970: launchers' clocks may differ."""
    return literal_column(_CLOCKS[engine.dialect.name], Double)


class Launcher:
    """This process among the launchers that share a database. Thread-safe.

    Its row says until when it is to be taken for alive; a thread moves that on. A launcher found
    dead is marked so by one atomic step, and can tell by it should it wake up again.

    Args:
        engine: Opened on the database, its outages told.
        study: What it works on; its name tells launchers of one study from others.
        patience: Waits while the database is away.
        heartbeat_seconds: Time between signs of life.
        on_replaced: Called once if others have taken this launcher for dead.
    """

    def __init__(
        self,
        engine: Engine,
        study: str,
        patience: Patience,
        heartbeat_seconds: float,
        *,
        on_replaced: Callable[[], None],
    ) -> None:
        self._of_study = hashlib.sha256(study.encode()).hexdigest()[:8]
        self.name = self._of_study + uuid.uuid4().hex[8:]
        self.started = 0.0
        self.replaced = False
        self._engine = engine
        self._patience = patience
        self._seconds = heartbeat_seconds
        self._on_replaced = on_replaced
        self._clock = database_clock(engine)
        self._heard = _now()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, daemon=True)

    def open(self) -> None:
        """Enter the row and begin to keep it alive."""
        TABLES.create_all(self._engine)
        row = {"launcher": self.name, "place": _place(), "process": _process(), "alive": True}
        times = {"started": self._clock, "expires": self._clock + _BEATS * self._seconds}
        with self._engine.begin() as connection:
            connection.execute(LAUNCHERS.insert().values(row | times))
            found = select(LAUNCHERS.c.started).where(LAUNCHERS.c.launcher == self.name)
            self.started = connection.execute(found).scalar_one()
        self._thread.start()

    def close(self) -> None:
        """Say that this launcher has gone, so that nobody has to wait for its silence."""
        self._closed.set()
        self._thread.join()
        self._mark_dead(self.name)

    def check(self) -> None:
        """Go on.

        Raises:
            LauncherReplaced: Others have taken this launcher for dead.
        """
        if self.replaced:
            raise LauncherReplaced

    def works_with(self, name: str) -> bool:
        """Say whether a launcher is one of the same study, this one included."""
        return name.startswith(self._of_study)

    def check_now(self) -> None:
        """Do as `check`, and ask the database; if it is away, nothing is known.

        Raises:
            LauncherReplaced: Others have taken this launcher for dead.
        """
        with contextlib.suppress(Outage):
            self.replaced = self.replaced or not self._beat()
        self.check()

    def check_silence(self) -> None:
        """Do as `check`; after a silence, such as a laptop's sleep, ask the database first.

        Raises:
            LauncherReplaced: Others have taken this launcher for dead.
        """
        if _now() - self._heard > 1.5 * self._seconds:
            self.check_now()
        self.check()

    def is_alive(self, name: str) -> bool:
        """Say whether a launcher may still be at work; one that is not stays so for ever."""
        if name == self.name:
            return True
        query = select(LAUNCHERS, (LAUNCHERS.c.expires < self._clock).label("silent"))
        with self._engine.connect() as connection:
            row = connection.execute(query.where(LAUNCHERS.c.launcher == name)).one_or_none()
        if row is None or not row.alive:
            return False
        if row.place == _place() and not _runs(row.process):
            self._mark_dead(name)
            return False
        if not row.silent or not self._calm():
            return True
        return not self._mark_dead(name, LAUNCHERS.c.expires < self._clock)

    def _calm(self) -> bool:
        """Say whether silence tells: after an outage everybody has been silent for a while."""
        back = self._patience.away_until
        return back is None or self._patience.clock() - back > _BEATS * self._seconds

    def _mark_dead(self, name: str, *conditions: ColumnElement[bool]) -> bool:
        found = (LAUNCHERS.c.launcher == name, *conditions)
        with self._engine.begin() as connection:
            done = connection.execute(update(LAUNCHERS).where(*found).values(alive=False))
        return done.rowcount == 1

    def _beat_on(self) -> None:
        while not self._closed.wait(self._seconds):
            try:
                alive = self._patience.persist(self._beat)
            except (DatabaseLost, RunInterrupted):
                return  # the study is ending, and says why
            except Exception as error:
                if missing_space(error) is None:
                    raise
                continue  # whatever else is written says so
            if not alive:
                self.replaced = True
                self._on_replaced()
                return

    def _beat(self) -> bool:
        if self._closed.is_set():
            return True
        mine = (LAUNCHERS.c.launcher == self.name, LAUNCHERS.c.alive)
        later = self._clock + _BEATS * self._seconds
        with self._engine.begin() as connection:
            done = connection.execute(update(LAUNCHERS).where(*mine).values(expires=later))
        self._heard = _now()
        return done.rowcount == 1


def _now() -> float:
    """Return seconds of a clock that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if _SLEEPS else time.monotonic()


def _place() -> str:
    """Name what process ids are told apart in: host, boot of its kernel, process namespace."""
    boot, names = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    parts = [platform.node()]
    parts += [boot.read_text().strip(), os.readlink(names)] if boot.exists() else []
    return " ".join(parts)


def _process() -> str:
    return f"{os.getpid()},{psutil.Process().create_time()}"  # ids are used again


def _runs(process: str) -> bool:
    pid, _, created = process.partition(",")
    try:
        return str(psutil.Process(int(pid)).create_time()) == created
    except psutil.NoSuchProcess:
        return False
