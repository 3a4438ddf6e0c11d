"""Reach the database that launchers share, and wait with back-off while it is away."""

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
"""A lock that is free again so soon is nothing to speak of."""
_SQLITE_BUSY, _SQLITE_LOCKED = 5, 6
_TURN = 0x74756E65 << 24
"""Key of PostgreSQL's advisory lock: any number that nobody else uses."""


class RunInterrupted(Exception):  # a state, not an error
    """The study is being closed: a run that was going on has ended, or a wait is over."""


class Outage(Exception):  # a state, not an error
    """The database could not be reached, or gave no answer; what was asked may have been done."""


class DatabaseLost(TunerError):
    """The database has been away for longer than a study waits."""

    exit_code = 1


@dataclass
class RetryPolicy:
    """Repeats a call to the database until it is answered, and says so once. Thread-safe."""

    place: str
    """Names the database for people."""
    pause: Callable[[float], None] = time.sleep
    """Waits so many seconds; may raise to give up."""
    limit: float = 3600.0
    """Seconds after which the study ends."""
    clock: Callable[[], float] = time.monotonic
    away_until: float | None = None
    """When the last outage ended, by the clock."""
    _said: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def persist(self, call: Callable[[], T]) -> T:
        """Return what the call returns; it must be safe to repeat.

        Raises:
            DatabaseLost: The limit has passed.
        """
        started, wait = self.clock(), _FIRST_WAIT
        while True:
            try:
                result = call()
            except Outage as outage:
                self._bear(outage, self.clock() - started)
            else:
                self._end(self.clock() - started)
                return result
            self.pause(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _bear(self, outage: Outage, seconds: float) -> None:
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
                _logger.warning("%s answers again, the study goes on", self.place)


def engine_options(url: str) -> dict[str, Any]:
    """Return what an engine needs to be quick, and to notice a lost connection soon."""
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": 30, "factory": QuickConnection}}
    alive = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    connect = {"connect_timeout": 10, "tcp_user_timeout": 30_000, **alive}
    return {"pool_pre_ping": True, "pool_timeout": 300, "connect_args": connect}


def open_engine(url: str) -> Engine:
    """Open a store's database; its tables are made where there are none, its outages are told.

    Raises:
        SQLAlchemyError, Outage: It cannot be opened; see `explained`.
    """
    engine = create_engine(url, **engine_options(url))
    tell_outages(engine)
    TABLES.create_all(engine)
    return engine


def tell_outages(engine: Engine) -> None:
    """Make whatever is due to the database being away, and to nothing else, an Outage."""

    def tell(context: ExceptionContext) -> None:
        code = getattr(context.original_exception, "sqlite_errorcode", None)
        if code is not None:
            away = code & 0xFF in (_SQLITE_BUSY, _SQLITE_LOCKED)
        else:
            away = isinstance(context.sqlalchemy_exception, OperationalError)
        if (away or context.is_disconnect) and not context.is_pre_ping:
            raise Outage(_first_line(context.original_exception))

    event.listen(engine, "handle_error", tell)


def name_database(url: str) -> str:
    """Name a database without user and password."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        return f"database {parts.database}"
    if not parts.host:
        return f"PostgreSQL on this machine's socket, database {parts.database or 'of the user'}"
    port = f":{parts.port}" if parts.port else ""
    return f"PostgreSQL {parts.host}{port}/{parts.database or ''}"


def reach(url: str) -> None:
    """Make sure that a server answers, before anything is written.

    Raises:
        ConfigError: It does not.
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
    """Let one launcher at a time make or open what launchers share.

    The libraries make their tables in steps; two of them at once would trip over each other.

    Args:
        folder: Of the files.
        url: Of the database.

    Raises:
        ConfigError: The database cannot be opened.
    """
    return own_turn(folder / ".opening", url)


@contextlib.contextmanager
def own_turn(path: Path, url: str) -> Iterator[None]:
    """Let one process at a time do what is inside.

    Args:
        path: Processes of this machine wait for each other at this file.
        url: Of the database; where it is PostgreSQL, processes of all machines wait.

    Raises:
        ConfigError: The database cannot be opened.
    """
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # gone with the file, however the process ends
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
                # It ends without a word to the server, which may be away by then.
                stack.callback(connection.invalidate)
            yield


@contextlib.contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn the refusal of a database into one line."""
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
