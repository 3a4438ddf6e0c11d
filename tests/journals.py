"""Look at the journal of a store as tests want it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.trial import FrozenTrial
from sqlalchemy import select

from trainers.contract import RunEvent, RunSpec
from tuner.config import Cell
from tuner.store.database import RetryPolicy, name_database, open_engine
from tuner.store.journal import JOURNAL, Journal
from tuner.store.leases import Lease
from tuner.store.location import find_store
from tuner.store.outcome import Outcome
from tuner.store.records import Group, RunRecord
from tuner.store.runs import RunBegun, Runs, event_topic, read_events
from tuner.store.search_log import log_topic, search_name
from tuner.study.optuna_log import open_storage
from tuner.tracking import open_reader


@contextmanager
def opened(
    store: str | Path, *, seconds: float = 60.0, on_replaced: Callable[[], None] = lambda: None
) -> Iterator[Journal]:
    """Open the journal of a store, a folder or a database, as one more launcher would."""
    url = find_store(store).database_url
    engine, policy = open_engine(url), RetryPolicy(name_database(url), limit=10.0)
    lease = Lease(engine, policy, seconds, on_replaced=on_replaced)
    lease.open()
    try:
        yield Journal(engine, policy, lease)
    finally:
        lease.close()
        engine.dispose()


def topics(store: str | Path) -> list[str]:
    """List the topics of a journal."""
    with opened(store) as journal, journal.engine.connect() as connection:
        return sorted(connection.execute(select(JOURNAL.c.topic).distinct()).scalars())


def trials(store: str | Path, search: str = "") -> list[FrozenTrial]:
    """Read the trials of a search from Optuna's own log; of the only one where none is named."""
    if not search:
        (search,) = (name[7:] for name in topics(store) if name.startswith("search "))
    with opened(store) as journal:
        storage = open_storage(journal, log_topic(search))
        return storage.get_all_trials(storage.get_study_id_from_name(search))


def cell_trials(store: str | Path, cell: Cell) -> list[FrozenTrial]:
    """Read the trials of a cell."""
    return trials(store, search_name(cell.study.name, cell.label, cell.fingerprint()))


def records(store: str | Path, study: str = "toy-study") -> list[RunRecord]:
    """Read the runs of a study."""
    return open_reader(store).runs(study)


def events(store: str | Path, record: RunRecord) -> list[RunEvent]:
    """Read the events of the last attempt at a run."""
    with opened(store) as journal:
        number = Runs(journal).of(record.digest)[-1].number
        return list(read_events(journal, event_topic(record.digest, number)))


def done(store: str | Path) -> list[str]:
    """List the digests of the attempts that have finished."""
    with opened(store) as journal:
        runs = Runs(journal)
        return [
            name
            for name, attempts in runs.all().items()
            for attempt in attempts
            if attempt.ended and '"state":"finished"' in attempt.ended
        ]


def enter(journal: Journal, group: Group, spec: RunSpec, outcome: Outcome) -> None:
    """Enter a run as done."""
    runs = Runs(journal)
    begun = RunBegun(group=group, spec=spec.model_dump(mode="json"))
    attempt = runs.take(spec.digest(), begun.model_dump_json())
    assert attempt is not None
    runs.end(attempt, outcome.model_dump_json())


def begun(store: Path) -> int:
    """Count the attempts that have sent an event; none where there is no store yet."""
    if not (store / "tuner.db").exists():
        return 0
    with contextlib.closing(sqlite3.connect(store / "tuner.db", timeout=30)) as database:
        query = "SELECT COUNT(DISTINCT topic) FROM journal WHERE topic LIKE 'events %'"
        with contextlib.suppress(sqlite3.OperationalError):  # its tables are being made
            return int(database.execute(query).fetchone()[0])
    return 0
