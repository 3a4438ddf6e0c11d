"""Locate a store: a folder with a database and artifacts, or an MLflow server."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


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
