"""MLflow: a projection of a store's journal. Importing this does not import MLflow."""

from __future__ import annotations

from pathlib import Path

from trainers.errors import ConfigError
from tuner.store import Reader, Store, find_store, open_journal_reader
from tuner.tracking.address import StoreAddress, check_server, locate_store
from tuner.tracking.moved import settle_or_warn
from tuner.tracking.projector import (
    NoProjector,
    Projector,
    TrackerAway,
    TrackerRefused,
    tracker_name,
)
from tuner.tracking.ui import PAGES, serve_ui

__all__ = [
    "NoProjector",
    "Projector",
    "TrackerAway",
    "TrackerRefused",
    "keep_report",
    "locate_store",
    "open_reader",
    "open_server_reader",
    "reach_server",
    "serve_ui",
    "settle_or_warn",
]


def reach_server(address: str) -> StoreAddress:
    """Check that an MLflow server answers, before anything is written.

    Raises:
        ConfigError: The address is no server's, or no server answers there.
    """
    place = locate_store(address)
    if not place.is_server:
        raise ConfigError(
            f"--tracking {place.shown}: no address of an MLflow server; it begins "
            "with http:// or https://"
        )
    check_server(place)
    return place


def open_reader(store: str | Path | Store, *, tracking: str | None = None) -> Reader:
    """Open a store's journal for reading.

    Args:
        store: A folder, the URL of a PostgreSQL database, or a result of `find_store`; or the
            address of an MLflow server, which is read itself.
        tracking: Address of the MLflow server that the store is projected to; by default that
            is a database in its folder.

    Raises:
        ConfigError: There is no such store, or it cannot be opened.
    """
    if isinstance(store, str) and locate_store(store).is_server:
        return open_server_reader(store)
    place = find_store(store)

    def elsewhere(run_id: str, name: str) -> Path | None:
        from tuner.tracking.client_reader import read_artifact

        return read_artifact(tracking or place.root, run_id, name)

    name = tracker_name(tracking)
    pages = PAGES if tracking is None else name
    return open_journal_reader(place, tracker=name, elsewhere=elsewhere, pages=pages)


def open_server_reader(address: str) -> Reader:
    """Open an MLflow server to read the runs that were projected to it.

    Raises:
        ConfigError: No server answers there.
    """
    reach_server(address)
    from tuner.tracking.client_reader import open_client_reader

    return open_client_reader(address)


def keep_report(
    store: Store, tracking: str | None, study: str, folder: Path, *, note: str = ""
) -> str:
    """Keep the files of a report in MLflow, in the study's only run of the phase `report`.

    Args:
        store: The store of the study.
        tracking: MLflow's address; None: it is in the store.
        study: The study's name.
        folder: The files.
        note: Markdown that MLflow shows above the experiment and the report's run.

    Returns:
        MLflow's identifier of that run.

    Raises:
        ConfigError: MLflow does not have the study, or cannot be reached.
    """
    from tuner.tracking.kept_report import keep

    return keep(tracking or store.root, study, folder, note)
