"""Locate a store: a folder with a database and artifacts, or an MLflow server."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from trainers.errors import ConfigError

_SECONDS_TO_ANSWER = 10


@dataclass(frozen=True)
class StoreAddress:
    """Where MLflow finds runs and puts files."""

    tracking_uri: str
    """Of the database or the server."""
    artifact_uri: str | None
    """Of the artifact folder; None where the server decides."""


def locate_store(store: str | Path) -> StoreAddress:
    """Return the addresses of a store.

    Args:
        store: A folder, made on first use; or the URI of an MLflow server or database.
    """
    if isinstance(store, str) and "://" in store:
        return StoreAddress(tracking_uri=store, artifact_uri=None)
    folder = Path(store).resolve()
    # SQLAlchemy unquotes the database's path and ends it at a question mark.
    path = (folder / "mlflow.db").as_posix().replace("%", "%25").replace("?", "%3F")
    return StoreAddress(f"sqlite:///{path}", (folder / "artifacts").as_uri())


def check_server(uri: str) -> None:
    """Look whether a server answers at all, which MLflow's client would try for minutes.

    Raises:
        ConfigError: It does not, or the address cannot be meant.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return
    try:
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        socket.create_connection((parts.hostname or "", port), _SECONDS_TO_ANSWER).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"--store {uri}: no MLflow server answers there: {reason}") from error


@contextlib.contextmanager
def quiet_migration() -> Iterator[None]:
    """Hold back the lines that MLflow logs while it makes a database."""
    logger = logging.getLogger("mlflow.store.db.utils")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
