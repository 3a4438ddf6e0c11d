"""Find the files of a store that was moved or copied, and correct its database."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from tuner.tracking.files import local_folder

_LOG = logging.getLogger(__name__)
_NAME, _FILES = "mlflow.db", "artifacts"
_SECONDS_TO_WAIT = 20
"""Wait for another writer of the file, as long as MLflow itself waits."""
_STUDIES = "SELECT experiment_id FROM experiment_tags WHERE key = 'tuner.study'"
_TABLES = (
    ("experiments", "experiment_id", "artifact_location"),
    ("runs", "run_uuid", "artifact_uri"),
    ("logged_models", "model_id", "artifact_location"),
)


class _Place(NamedTuple):
    """The place of the files of an experiment, a run or a model, for its row in the database."""

    table: str
    key: str
    column: str
    of: str | int
    uri: str


def own_folder(uri: str, database: Path) -> Path | None:
    """Return the folder of a run's files; None where it is not on this machine.

    A store keeps its files beside its database. MLflow stores the place where they were made,
    which is searched only if the store itself does not have the files.

    Args:
        uri: URI of the files of a run or a model.
        database: Present path of the store's database.
    """
    named = local_folder(uri)
    if named is None or database.name != _NAME:
        return named
    here = _beside(named, database.parent)
    return here if here is not None and here.is_dir() else named


def settle(store: Path) -> bool:
    """Correct the places of files in a store's database; return whether they are correct.

    MLflow's own pages and client read the places from the database. The store that this one was
    copied from is left alone, and so are the files of a study that a user keeps elsewhere.
    """
    store = store.resolve()
    if not (store / _NAME).is_file():
        return True
    try:
        with contextlib.closing(_connect(store, "ro")) as connection:
            strayed = list(_strayed(connection, store))
    except sqlite3.Error:  # not MLflow's: opening it raises the error
        return True
    if not strayed:
        return True
    try:
        with contextlib.closing(_connect(store, "rw")) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")  # another process may do the same
            for place in list(_strayed(connection, store)):
                connection.execute(
                    f"UPDATE {place.table} SET {place.column} = ? WHERE {place.key} = ?",
                    (place.uri, place.of),
                )
    except sqlite3.OperationalError:  # read-only, full, or in use for long
        return False
    return True


def settle_or_warn(store: Path) -> None:
    """Do as `settle`; warn if the database keeps the store's former place."""
    if not settle(store):
        _LOG.warning(
            "%s: cannot be written to; until it can, MLflow's own pages look for the runs' files "
            "in the store's former place",
            store / _NAME,
        )


def _connect(store: Path, mode: str) -> sqlite3.Connection:
    address = f"{(store / _NAME).as_uri()}?mode={mode}"
    return sqlite3.connect(address, uri=True, timeout=_SECONDS_TO_WAIT, isolation_level=None)


def _strayed(connection: sqlite3.Connection, store: Path) -> Iterator[_Place]:
    """Yield the rows with files elsewhere, with the files' place in this store."""
    home = (store / _FILES).as_uri()
    first_places: set[Path] = set()
    for table, key, column in _TABLES:
        query = (
            f"SELECT {key}, {column} FROM {table} WHERE experiment_id IN ({_STUDIES}) "
            f"AND substr({column}, 1, ?) <> ?"
        )
        for of, uri in connection.execute(query, (len(home), home)).fetchall():
            named = local_folder(uri)
            here = _beside(named, store) if named else None
            if named and here and (here.is_dir() or not named.is_dir()):
                if table == "experiments":
                    first_places.add(named.parent)
                yield _Place(table, key, column, of, here.as_uri())
    yield from _others(connection, store, first_places)


def _others(
    connection: sqlite3.Connection, store: Path, first_places: Collection[Path]
) -> Iterator[_Place]:
    """Yield rows of no study, such as the experiment `Default`, from the store's former place."""
    for table, key, column in _TABLES if first_places else ():
        query = f"SELECT {key}, {column} FROM {table} WHERE experiment_id NOT IN ({_STUDIES})"
        for of, uri in connection.execute(query).fetchall():
            named = local_folder(uri) if uri else None
            above = [place for place in first_places if named and named.is_relative_to(place)]
            if named and above:
                here = store / named.relative_to(above[0])
                if here.is_dir() or not named.is_dir():
                    place = here.as_uri() if uri.startswith("file:") else str(here)
                    yield _Place(table, key, column, of, place)


def _beside(named: Path, store: Path) -> Path | None:
    """Return the folder in this store for files of another store; None where they were in none.

    Files are in `artifacts`; in there, a run's in `RUN/artifacts`, a model's in
    `models/MODEL/artifacts`.
    """
    parts = named.parts
    if parts[-1:] != (_FILES,):
        return None
    for length in (4, 3, 1):
        tail = parts[-length:]
        if tail[0] == _FILES and (length < 4 or tail[1] == "models"):
            return store.joinpath(*tail)
    return None
