"""The progress of the journal's projection to a tracker, and the tracker's identifiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Column, Engine, Select, Table, Text, select

from tuner.store.database import TABLES

PROJECTED = Table(
    "projected",
    TABLES,
    Column("tracker", Text, primary_key=True),  # see `tuner.tracking`
    Column("key", Text, primary_key=True),  # of a run, a configuration, a study; or `cursor`
    Column("value", Text, nullable=False),  # MLflow's identifier; or the id of a line
)
LOCAL = "mlflow.db"
"""The tracker in the store's own folder, wherever that is."""
_CURSOR = "cursor"


def experiment_key(study: str) -> str:
    """Return the key under which MLflow's identifier of a study's experiment is kept."""
    return f"experiment {study}"


@dataclass(frozen=True)
class Projected:
    """The state of a projection to a tracker. Every step may be repeated."""

    engine: Engine
    tracker: str

    def cursor(self) -> int:
        """Return the id of the last projected line."""
        with self.engine.connect() as connection:
            found = connection.execute(self._query(_CURSOR)).one_or_none()
        return int(found.value) if found else 0

    def ids(self) -> dict[str, str]:
        """Return MLflow's identifiers of runs, configurations and experiments, by our own."""
        table = PROJECTED.c
        query = select(table.key, table.value).where(table.tracker == self.tracker)
        with self.engine.connect() as connection:
            return {key: value for key, value in connection.execute(query) if key != _CURSOR}

    def note(self, cursor: int, ids: Mapping[str, str]) -> None:
        """Note that all lines up to one are projected.

        Args:
            cursor: Id of the line.
            ids: New identifiers.
        """
        values = dict(ids) | {_CURSOR: str(cursor)}
        with self.engine.begin() as connection:
            for key, value in values.items():
                row = {"tracker": self.tracker, "key": key}
                place = (PROJECTED.c.tracker == self.tracker, PROJECTED.c.key == key)
                changed = connection.execute(
                    PROJECTED.update().where(*place).values(value=value)
                ).rowcount
                if not changed:
                    connection.execute(PROJECTED.insert().values(**row, value=value))

    def forget(self) -> None:
        """Forget the projection, for a tracker that has lost its data."""
        with self.engine.begin() as connection:
            connection.execute(PROJECTED.delete().where(PROJECTED.c.tracker == self.tracker))

    def _query(self, key: str) -> Select[tuple[str]]:
        table = PROJECTED.c
        return select(table.value).where(table.tracker == self.tracker, table.key == key)
