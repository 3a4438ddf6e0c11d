"""Connect to the database that launchers share, and retry with back-off during an outage."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from sqlalchemy import Engine, MetaData, create_engine, event, func, make_url, select
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from trainers.errors import ConfigError, TunerError
from tuner.store.sqlite_file import QuickConnection

T = TypeVar("T")
TABLES = MetaData()
"""The tables of a store."""

_logger = logging.getLogger(__name__)
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 5.0
_SECONDS_UNSAID = 2.0
"""A shorter wait for a lock is not logged."""
_SQLITE_BUSY, _SQLITE_LOCKED = 5, 6
_TURN = 0x74756E65 << 24
"""Key of PostgreSQL's advisory lock: any number that no other program uses."""


class RunInterrupted(Exception):  # a state, not an error
    """The study is being closed: a running run was ended, or a wait was broken off."""


class Outage(Exception):  # a state, not an error
    """The database could not be reached, or did not answer; the call may have had its effect."""


class DatabaseLost(TunerError):
    """The database was unavailable for longer than a study waits."""

    exit_code = 1


@dataclass
class RetryPolicy:
    """Repeats a call to the database until it succeeds, and logs an outage once. Thread-safe."""

    place: str
    """Name of the database in messages."""
    pause: Callable[[float], None] = time.sleep
    """Waits a number of seconds; may raise to give up."""
    limit: float = 3600.0
    """Seconds after which the study ends."""
    clock: Callable[[], float] = time.monotonic
    away_until: float | None = None
    """End of the last outage, by the monotonic clock."""
    _said: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def persist(self, call: Callable[[], T]) -> T:
        """Return the result of a call, which must be safe to repeat.

        Raises:
            DatabaseLost: The limit has passed.
        """
        started, wait = self.clock(), _FIRST_WAIT
        while True:
            try:
                result = call()
            except Outage as outage:
                self._note_outage(outage, self.clock() - started)
            else:
                self._end(self.clock() - started)
                return result
            self.pause(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _note_outage(self, outage: Outage, seconds: float) -> None:
        if seconds > self.limit:
            raise DatabaseLost(f"{self.place}: no answer for {seconds:.0f} s: {outage}")
        with self._lock:
            if not self._said and seconds > _SECONDS_UNSAID:
                self._said = True
                _logger.warning("%s does not answer, the study waits: %s", self.place, outage)

    def _end(self, seconds: float) -> None:
        if not self._said:
            return
        with self._lock:
            if self._said and seconds > _SECONDS_UNSAID:
                self._said = False
                self.away_until = self.clock()
                _logger.warning("%s answers again, the study continues", self.place)


def engine_options(url: str) -> dict[str, Any]:
    """Return options of an engine: fast commits, and early notice of a lost connection."""
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": 30, "factory": QuickConnection}}
    alive = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    connect = {"connect_timeout": 10, "tcp_user_timeout": 30_000, **alive}
    return {"pool_pre_ping": True, "pool_timeout": 300, "connect_args": connect}


def open_engine(url: str) -> Engine:
    """Open a store's database; make missing tables, and turn its outages into `Outage`.

    Raises:
        SQLAlchemyError, Outage: The database cannot be opened; see `explained`.
    """
    engine = create_engine(url, **engine_options(url))
    raise_outages(engine)
    TABLES.create_all(engine)
    return engine


def raise_outages(engine: Engine) -> None:
    """Turn errors of an unavailable database, and no others, into an Outage."""

    def handle(context: ExceptionContext) -> None:
        code = getattr(context.original_exception, "sqlite_errorcode", None)
        if code is not None:
            away = code & 0xFF in (_SQLITE_BUSY, _SQLITE_LOCKED)
        else:
            away = isinstance(context.sqlalchemy_exception, OperationalError)
        if (away or context.is_disconnect) and not context.is_pre_ping:
            raise Outage(_first_line(context.original_exception))

    event.listen(engine, "handle_error", handle)


def name_database(url: str) -> str:
    """Return a database's name without user and password."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        return f"database {parts.database}"
    if not parts.host:
        return f"PostgreSQL on this machine's socket, database {parts.database or 'of the user'}"
    port = f":{parts.port}" if parts.port else ""
    return f"PostgreSQL {parts.host}{port}/{parts.database or ''}"


def reach(url: str) -> None:
    """Check that a server answers, before anything is written.

    Raises:
        ConfigError: The server does not answer.
    """
    if url.startswith("sqlite"):
        return
    with explained(url):
        engine = create_engine(url, **engine_options(url))
        try:
            engine.connect().close()
        finally:
            engine.dispose()


def opening(folder: Path, url: str) -> contextlib.AbstractContextManager[None]:
    """Let one launcher at a time make or open the shared files and tables.

    The libraries make their tables in steps, which fail if two processes do so at once.

    Args:
        folder: Folder of the files.
        url: URL of the database.

    Raises:
        ConfigError: The database cannot be opened.
    """
    return own_turn(folder / ".opening", url)


@contextlib.contextmanager
def own_turn(path: Path, url: str) -> Iterator[None]:
    """Hold a lock, so that one process at a time runs the code inside.

    Args:
        path: Lock file for the processes of this machine.
        url: URL of the database; PostgreSQL locks out the processes of all machines.

    Raises:
        ConfigError: The database cannot be opened.
    """
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released with the file, however the process ends
        if url.startswith("sqlite"):
            yield
            return
        with contextlib.ExitStack() as stack:
            with explained(url):
                engine = create_engine(url, **engine_options(url))
                stack.callback(engine.dispose)
                connection = stack.enter_context(engine.connect())
                key = _TURN + zlib.crc32(path.name.encode())
                connection.execute(select(func.pg_advisory_xact_lock(key)))
                # Closed without a message to the server, which may be unavailable by then.
                stack.callback(connection.invalidate)
            yield


@contextlib.contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn a database's error into a ConfigError of one line."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise ConfigError(
            "--store: PostgreSQL needs the extra `postgres`: pip install 'tuner-studies[postgres]'"
        ) from error
    except SQLAlchemyError as error:
        _refuse(url, error)
    except Outage as error:
        _refuse(url, error)


def _refuse(url: str, error: Exception) -> NoReturn:
    cause = getattr(error, "orig", None) or error
    raise ConfigError(f"--store {name_database(url)}: {_first_line(cause)}") from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
