"""Open the MLflow database of a store's folder; make it complete, or not at all."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import time
from pathlib import Path

from mlflow import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from trainers.errors import ConfigError
from tuner.store import missing_space
from tuner.tracking.address import StoreAddress, locate_store, quiet_migration
from tuner.tracking.moved import settle

_NAME = "mlflow.db"
_SCRATCH = ".new-"
_SECONDS_TO_MAKE = 3600
"""Far more than it takes; an older folder is of a launcher that was killed."""


def open_client(store: str | Path, address: StoreAddress) -> MlflowClient:
    """Return MLflow's client of a store; make its database if it is missing.

    Raises:
        ConfigError: The folder's database is damaged, or is not MLflow's.
    """
    _silence_full_disks()
    with quiet_migration():
        if address.artifact_uri is None:
            return MlflowClient(tracking_uri=address.tracking_uri)
        path = Path(store) / _NAME
        try:
            _sweep(path.parent)
            _make(path)
            settle(path.parent)
            return MlflowClient(tracking_uri=address.tracking_uri)
        except SQLAlchemyError as error:
            line = str(error).partition("\n")[0]
            raise ConfigError(f"{path}: not readable as an MLflow database: {line}") from error


def _silence_full_disks() -> None:
    """Stop MLflow from logging a full disk: the error is raised, and reported once."""
    logger = logging.getLogger("mlflow.store.db.utils")
    if _is_no_full_disk not in logger.filters:
        logger.addFilter(_is_no_full_disk)


def _is_no_full_disk(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return error is None or missing_space(error) is None


def _make(path: Path) -> None:
    """Make a missing database.

    MLflow makes its tables one after another, for seconds. With half of them, after Ctrl-C or a
    crash, it can neither open nor repair the file. So they are made in a temporary folder, and
    the file is renamed when it is complete. Of several launchers, the first one's file is kept.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=_SCRATCH) as scratch:
        MlflowClient(tracking_uri=locate_store(scratch).tracking_uri)
        with contextlib.suppress(FileExistsError):
            os.link(Path(scratch) / _NAME, path)


def _sweep(store: Path) -> None:
    """Remove temporary folders of launchers that have ended."""
    for folder in store.glob(f"{_SCRATCH}*"):
        with contextlib.suppress(FileNotFoundError):  # its maker may have ended
            if time.time() - folder.stat().st_mtime > _SECONDS_TO_MAKE:
                shutil.rmtree(folder)
