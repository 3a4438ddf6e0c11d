"""Locate a store: a folder with a database and artifacts, or an MLflow server."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from trainers.errors import ConfigError
from trainers.proxies import proxy_note, proxy_of
from tuner.config import Login, hide_password, split_login

_SECONDS_TO_ANSWER = 10
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class StoreAddress:
    """The addresses at which MLflow finds runs and files."""

    tracking_uri: str
    """URI of the database or the server, without the login of a server."""
    shown: str
    """The user's address for messages, without a password."""
    artifact_uri: str | None
    """URI of the artifact folder; None where the server decides."""
    login: Login = field(default_factory=lambda: Login(""))
    """User and password of a server."""

    @property
    def is_server(self) -> bool:
        """Return whether this is an MLflow server, not a database."""
        return urlsplit(self.tracking_uri).scheme in _DEFAULT_PORTS


def locate_store(store: str | Path) -> StoreAddress:
    """Return the addresses of a store.

    Args:
        store: A folder, made on first use; or the URI of an MLflow server or database.
    """
    if isinstance(store, str) and "://" in store:
        address = StoreAddress(store, hide_password(store), artifact_uri=None)
        if not address.is_server:
            return address
        login = split_login(store)
        return replace(address, tracking_uri=login.address, login=login)
    folder = Path(store).resolve()
    # SQLAlchemy unquotes the database's path and ends it at a question mark.
    path = (folder / "mlflow.db").as_posix().replace("%", "%25").replace("?", "%3F")
    artifacts = (folder / "artifacts").as_uri()
    shown = hide_password(str(store))
    return StoreAddress(f"sqlite:///{path}", shown, artifact_uri=artifacts)


def check_server(address: StoreAddress) -> None:
    """Check that a server answers; MLflow's client would retry for minutes.

    Raises:
        ConfigError: It does not answer, or the address is invalid.
    """
    parts = urlsplit(address.tracking_uri)
    try:
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
    except ValueError as error:  # its text may have half of a password
        raise ConfigError(
            f"{address.shown}: its port is no number up to 65535; in a user or password, signs "
            "such as @ / : are written %40 %2F %3A"
        ) from error
    proxy = proxy_of(address.tracking_uri)
    try:
        place = _place(proxy.address) if proxy else (parts.hostname or "", port)
        socket.create_connection(place, _SECONDS_TO_ANSWER).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"{address.shown}: no MLflow server answers there: {reason}"
            f"{proxy_note(address.tracking_uri)}"
        ) from error


def _place(proxy: str) -> tuple[str, int]:
    """Return the host and port of a proxy, with or without a scheme."""
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme, 1080)


@contextlib.contextmanager
def quiet_migration() -> Iterator[None]:
    """Suppress the lines that MLflow logs while it makes a database."""
    logger = logging.getLogger("mlflow.store.db.utils")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
