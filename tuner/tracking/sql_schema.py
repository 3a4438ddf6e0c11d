"""Name the tables of MLflow's database, and open one after a look whether they are as known."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import Engine, TableClause, column, create_engine, inspect, make_url, select, table
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from trainers.errors import ConfigError
from tuner.config import hide_passwords

_VALUES = ("run_uuid", "key", "value")

EXPERIMENTS = table(
    "experiments", *map(column, ("experiment_id", "name", "lifecycle_stage", "workspace"))
)
EXPERIMENT_TAGS = table("experiment_tags", *map(column, ("experiment_id", "key", "value")))
RUNS = table(
    "runs",
    *map(column, ("run_uuid", "experiment_id", "status", "start_time", "end_time")),
    *map(column, ("lifecycle_stage", "artifact_uri")),
)
TAGS = table("tags", *map(column, _VALUES))
PARAMS = table("params", *map(column, _VALUES))
LATEST_METRICS = table("latest_metrics", *map(column, (*_VALUES, "is_nan")))
METRICS = table("metrics", *map(column, (*_VALUES, "is_nan", "step", "timestamp")))

ACTIVE = "active"
"""Lifecycle stage of what is not deleted."""
_WORKSPACE = "default"
_SECONDS_TO_WAIT = 20
"""For a writer to let go of a SQLite file, as long as MLflow itself waits."""


def open_engine(uri: str) -> Engine | None:
    """Open a database to read it.

    Returns:
        None where the URI is not of a database, there is none yet, its tables are not those of
        MLflow 3, or it is parted into MLflow's workspaces.
    """
    try:
        engine = _engine(uri)
        return engine if engine is not None and _is_known(engine) else None
    except (SQLAlchemyError, ImportError):  # no such dialect, no driver, no such file, no tables
        return None


def check_database(uri: str, shown: str) -> None:
    """Look whether a database answers, which MLflow would try for a minute.

    Args:
        uri: Of a database; one of another kind, or a SQLite file, is passed over.
        shown: How messages name it.

    Raises:
        ConfigError: It does not, or refuses the login.
    """
    try:
        url = make_url(uri)
        if url.get_backend_name() != "sqlite":
            create_engine(url, poolclass=NullPool).connect().close()
    except NoSuchModuleError:
        return
    except (SQLAlchemyError, ImportError) as error:
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        raise ConfigError(
            f"{shown}: no database answers there: {hide_passwords(reason)}"
        ) from error


def database_file(uri: str) -> Path | None:
    """Return the file of a SQLite database; None where it is another, or in memory."""
    url = make_url(uri)
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(url.database).absolute()


def _engine(uri: str) -> Engine | None:
    if make_url(uri).get_backend_name() != "sqlite":
        return create_engine(uri, poolclass=NullPool)
    file = database_file(uri)
    if file is None:
        return None
    # An ordinary connection would make the file if it is not there.
    address = f"{file.as_uri()}?mode=ro"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(address, uri=True, timeout=_SECONDS_TO_WAIT)

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)


def _is_known(engine: Engine) -> bool:
    inspector = inspect(engine)
    tables: tuple[TableClause, ...] = (
        *(EXPERIMENTS, EXPERIMENT_TAGS, RUNS),
        *(TAGS, PARAMS, LATEST_METRICS, METRICS),
    )
    for known in tables:
        there = {found["name"] for found in inspector.get_columns(known.name)}
        if not there >= set(known.c.keys()):
            return False
    with engine.connect() as connection:
        workspaces = connection.execute(select(EXPERIMENTS.c.workspace).distinct()).scalars()
        return set(workspaces) <= {_WORKSPACE}
