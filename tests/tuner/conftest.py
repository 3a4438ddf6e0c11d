"""What tests of the tuner share: servers and a cluster, started by the first that wants them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.ray_cluster import RayCluster, two_nodes
from tests.servers import MlflowServer, running
from tests.wire import Wire


@pytest.fixture(scope="session")
def migrated_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an empty, migrated database."""
    from tuner.tracking.mlflow_store import MlflowStore

    folder = tmp_path_factory.mktemp("migrated") / "store"
    MlflowStore(folder)
    return folder


@pytest.fixture(scope="session")
def _known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("known")


@pytest.fixture
def empty_store(tmp_path: Path, _known: Path) -> Path:
    """Return a store without runs, with what earlier studies found out about models and data.

    That are checks, traces and tokens, by digests of all that decides them.
    """
    store = tmp_path / "store"
    store.mkdir()
    (store / "cache").symlink_to(_known)
    return store


@pytest.fixture(scope="session")
def running_server(
    migrated_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    """Start an MLflow server on SQLite; `server` empties it for each test."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "mlflow.db").write_bytes((migrated_store / "mlflow.db").read_bytes())
    with running(MlflowServer(folder)) as server:
        yield server


@pytest.fixture
def server(running_server: MlflowServer) -> MlflowServer:
    """Return a running MLflow server without runs."""
    with closing(sqlite3.connect(running_server.folder / "mlflow.db")) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in tables:
            if name not in ("alembic_version", "workspaces"):
                database.execute(f"DELETE FROM {name}")
        database.commit()
    return running_server


@pytest.fixture
def wire(server: MlflowServer) -> Iterator[Wire]:
    """Return a wire to the server."""
    with Wire(server.address) as wire:
        yield wire


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayCluster]:
    """Start a cluster of the nodes `one` and `two`, with two CPUs each."""
    pytest.importorskip("ray", reason="needs the extra `ray`")
    with two_nodes() as cluster:
        yield cluster
