"""Trackers write a study's runs and read them back. Importing this does not import MLflow."""

from __future__ import annotations

import contextlib
from pathlib import Path

from trainers.errors import ConfigError
from tuner.store.full_disk import is_full
from tuner.tracking.address import StoreAddress, check_server, locate_store
from tuner.tracking.aggregate import aggregate
from tuner.tracking.base import (
    Curve,
    Group,
    Phase,
    Reader,
    RunRecord,
    RunState,
    Tracker,
)
from tuner.tracking.definitions import KeptDefinition
from tuner.tracking.faults import TrackerAway, TrackerRefused
from tuner.tracking.files import alone
from tuner.tracking.memory import MemoryTracker
from tuner.tracking.moved import settle, settle_or_say
from tuner.tracking.names import entity_name

__all__ = [
    "Curve",
    "Group",
    "KeptDefinition",
    "MemoryTracker",
    "Phase",
    "Reader",
    "RunRecord",
    "RunState",
    "StoreAddress",
    "Tracker",
    "TrackerAway",
    "TrackerRefused",
    "aggregate",
    "entity_name",
    "load_mlflow",
    "locate_store",
    "log_report",
    "open_folder",
    "open_reader",
    "open_server",
    "open_tracker",
    "reach_server",
    "report_folder",
    "settle_or_say",
    "waiting_digests",
]


def open_tracker(store: str | Path) -> Tracker:
    """Open the MLflow store in a folder, made on first use, or at a server's URI."""
    from tuner.tracking.mlflow import MlflowTracker

    return MlflowTracker(store)


def open_folder(folder: Path, *, outbox: Path) -> Tracker:
    """Open the MLflow store in a folder for a study that is not to wait for what it writes.

    Args:
        folder: The folder; the store is made on first use.
        outbox: Folder where writes wait for their turn.
    """
    from tuner.tracking.outbox import Outbox
    from tuner.tracking.remote_scribe import RemoteScribe

    return Outbox(RemoteScribe(folder), "mlflow.db", outbox)


def reach_server(address: str) -> StoreAddress:
    """Make sure that an MLflow server answers, before anything is written.

    Raises:
        ConfigError: It is no address of a server, or none answers there.
    """
    place = locate_store(address)
    if not place.is_server:
        raise ConfigError(
            f"--tracking {place.shown}: no address of an MLflow server; it begins "
            "with http:// or https://"
        )
    check_server(place)
    return place


def open_server(address: str, *, outbox: Path) -> Tracker:
    """Open an MLflow server for a study that is to go on while it is away.

    Args:
        address: Such as `http://user:password@host:5000`; without a login, MLflow's environment
            variables may hold one.
        outbox: Folder where writes wait for the server.

    Raises:
        ConfigError: It is no address of a server, or none answers there.
    """
    place = reach_server(address)
    from tuner.tracking.outbox import Outbox
    from tuner.tracking.remote_scribe import RemoteScribe

    return Outbox(RemoteScribe(address), place.tracking_uri, outbox)


def load_mlflow() -> None:
    """Have MLflow loaded by the process that will write to it, while this one goes on."""
    from tuner.tracking.tracking_process import tracking_process

    tracking_process()


def open_reader(store: str | Path) -> Reader:
    """Open a store to read it: the folder of a study's runs, or the URI of a server or database.

    A database is read without MLflow, whose import takes seconds.

    Raises:
        ConfigError: There is no such folder, or the store cannot be opened.
    """
    from tuner.tracking.sql_reader import open_sql_reader
    from tuner.tracking.sql_schema import check_database

    address = locate_store(store)
    if address.is_server:
        check_server(address)
    else:
        check_database(address.tracking_uri, address.shown)
    if address.artifact_uri is not None and not (Path(store) / "mlflow.db").is_file():
        raise ConfigError(f"--store {address.shown}: no studies here yet; {_next(Path(store))}")
    if address.artifact_uri is not None:
        settle(Path(store))
    reader = open_sql_reader(address.tracking_uri, lambda: open_tracker(store))
    return reader or open_tracker(store)


def _next(store: Path) -> str:
    if is_full(store):
        return "its disk is full: make room, then run one with `tuner run-study`"
    return "run one with `tuner run-study`"


def log_report(store: str | Path, study: str, folder: Path) -> str:
    """Do as `Tracker.log_report`, without importing MLflow where the study has its run already.

    Launchers that share a folder end at the same moment: one at a time makes the report.
    """
    from tuner.tracking.sql_reader import open_sql_reader

    address = locate_store(store)
    shared = address.artifact_uri is None
    with contextlib.nullcontext() if shared else alone(Path(store) / ".report"):
        reader = open_sql_reader(address.tracking_uri, lambda: open_tracker(store))
        replaced = reader.replace_report(study, folder) if reader else None
        if replaced:
            return replaced
        from tuner.tracking.remote_scribe import RemoteScribe

        return RemoteScribe(store).log_report(study, folder)


def report_folder(store: str | Path, study: str) -> Path | None:
    """Return the folder of a study's kept report, if it has one on this machine."""
    from tuner.tracking.sql_reader import open_sql_reader

    reader = open_sql_reader(locate_store(store).tracking_uri, lambda: open_tracker(store))
    return reader.report_folder(study) if reader else None


def waiting_digests(outbox: Path) -> set[str]:
    """Return the digests of the runs whose writes wait in an outbox."""
    from tuner.tracking.call_file import waiting_digests

    return waiting_digests(outbox)
