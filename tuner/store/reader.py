"""Read the runs of studies from a store's journal. Nothing is written."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from sqlalchemy import Engine, NullPool, create_engine, inspect

from trainers.contract import RunSpec
from trainers.errors import ConfigError
from tuner.config import Phase
from tuner.store.attempts import Attempts, cells_topic
from tuner.store.database import (
    RetryPolicy,
    engine_options,
    explained,
    name_database,
    raise_outages,
)
from tuner.store.definitions import last_text, read_studies
from tuner.store.full_disk import is_full
from tuner.store.journal import JOURNAL, Journal
from tuner.store.leases import holds
from tuner.store.location import Store, check_folder
from tuner.store.projected import LOCAL, Projected, experiment_key
from tuner.store.records import (
    Curve,
    KeptDefinition,
    LoggedTrial,
    NoStudies,
    Reader,
    RunRecord,
    study_page,
)
from tuner.store.runs import Run, Runs, event_topic, read_events, record_of
from tuner.store.search_log import read_search_log

_OLD = "optuna.db"
_SECONDS_TO_WAIT = 60.0


class JournalReader(Reader):
    """Reads a store's journal, and the files of its runs.

    Args:
        journal: The store's journal.
        store: The store, with the runs' files.
        tracker: Name of the tracker whose identifiers the records have.
        elsewhere: Returns a run's file by MLflow's identifier, if its folder is not here.
        pages: Address at which MLflow shows its pages.
    """

    def __init__(
        self,
        journal: Journal,
        store: Store,
        *,
        tracker: str = LOCAL,
        elsewhere: Callable[[str, str], Path | None] = lambda run_id, name: None,
        pages: str = "",
    ) -> None:
        self._journal = journal
        self._store = store
        self._runs = Runs(journal)
        self._projected = Projected(journal.engine, tracker)
        self._elsewhere = elsewhere
        self._pages = pages
        self._by_id: dict[str, Run] = {}

    def runs(self, study: str, *, phase: Phase | None = None) -> list[RunRecord]:
        """Read a study's runs."""
        found = [run for run in self._runs.in_study(study) if phase in (None, run.group.phase)]
        ids = self._projected.ids()
        records = [record_of(run, self._runs, ids) for run in found]
        self._by_id |= {record.run_id: run for record, run in zip(records, found, strict=True)}
        return sorted(records, key=lambda record: (record.start, record.run_id))

    def curves(self, run_ids: Sequence[str], names: Sequence[str]) -> Iterator[Curve]:
        """Read the curves of runs."""
        for run_id in run_ids:
            run = self._by_id.get(run_id)
            if run is None:
                continue
            topic = event_topic(run.attempt.name, run.attempt.number)
            points: dict[str, dict[int, float]] = {name: {} for name in names}
            for event in read_events(self._journal, topic):
                for name in points.keys() & event.metrics.keys():
                    points[name].setdefault(event.step, event.metrics[name])
            for name in names:
                steps = sorted(points[name])
                if steps:
                    values = tuple(points[name][step] for step in steps)
                    yield Curve(run_id, name, tuple(steps), values)

    def artifact(self, run_id: str, name: str) -> Path | None:
        """Return a local path of a run's file."""
        run = self._by_id.get(run_id)
        if run is None:
            return None
        path = self._store.run_dir(run.attempt.name, run.attempt.number) / name
        return path if path.is_file() else self._elsewhere(run_id, name)

    def study_yaml(self, study: str) -> str:
        """Return the definition that the study was opened with last."""
        return last_text(self._journal, study)

    def definitions(self, study: str) -> list[KeptDefinition]:
        """Return the definitions that the study was opened with, in the order of the last time."""
        return read_studies(self._journal).get(study, [])

    def spec(self, run_id: str) -> RunSpec | None:
        """Return a run's spec."""
        run = self._by_id.get(run_id)
        return RunSpec.model_validate(run.begun.spec) if run else None

    def search_log(self, study: str) -> Mapping[str, Sequence[LoggedTrial]]:
        """Return the begun trials of a study's searches, by the search's name."""
        return read_search_log(self._journal, study)

    def is_running(self, study: str) -> bool:
        """Return whether the lease of a launcher holds that has begun work on the study."""
        cells = Attempts(self._journal, cells_topic(study)).all().values()
        names = {tried[-1].launcher for tried in cells if tried[-1].ended is None}
        return any(holds(self._journal.engine, name) for name in names)

    def page_of(self, study: str) -> str:
        """Return the address of MLflow's page of a study, once that is projected."""
        return study_page(self._pages, self._projected.ids().get(experiment_key(study)))

    def studies(self) -> list[str]:
        """Return the names of the studies in the store, sorted."""
        return sorted(read_studies(self._journal))


def open_journal_reader(
    store: Store,
    *,
    tracker: str = LOCAL,
    elsewhere: Callable[[str, str], Path | None] = lambda run_id, name: None,
    pages: str = "",
) -> JournalReader:
    """Open a store for reading.

    Args:
        store: The store.
        tracker: See `JournalReader`.
        elsewhere: See `JournalReader`.
        pages: See `JournalReader`.

    Raises:
        NoStudies: There is no such store, or nothing was run in it.
        ConfigError: Another version wrote it, or it cannot be read.
    """
    url = store.database_url
    if store.shared is None:
        check_folder(store.root)
    check_version(store)
    absent = NoStudies(f"--store {store.shown}: no studies here yet; {_next(store.root)}")
    if not store.exists():
        raise absent
    with explained(url):
        engine = _open_to_read(store)
        if not inspect(engine).has_table(JOURNAL.name):
            raise absent
    policy = RetryPolicy(name_database(url), limit=_SECONDS_TO_WAIT)
    journal = Journal(engine, policy)
    return JournalReader(journal, store, tracker=tracker, elsewhere=elsewhere, pages=pages)


def check_version(store: Store) -> None:
    """Refuse a store of an earlier version.

    Raises:
        ConfigError: In one line, with the version.
    """
    if (store.root / _OLD).is_file() and not store.database.is_file():
        raise ConfigError(
            f"--store {store.shown}: tuner 0.1 wrote this store, which this version does not "
            "read; name another folder, or continue with tuner 0.1"
        )


def _open_to_read(store: Store) -> Engine:
    """Open a database read-only, without even a log beside its file."""
    if store.shared is not None:
        engine = create_engine(store.database_url, **engine_options(store.database_url))
    else:
        address = f"{store.database.resolve().as_uri()}?mode=ro"
        log = store.database.with_name(f"{store.database.name}-wal")

        def connect() -> sqlite3.Connection:
            # A file without a log is not being written to; SQLite would make an empty log.
            alone = "" if log.is_file() and log.stat().st_size else "&immutable=1"
            return sqlite3.connect(address + alone, uri=True, timeout=30, check_same_thread=False)

        with contextlib.closing(connect()) as connection:
            try:
                connection.execute("SELECT name FROM sqlite_master").fetchone()
            except sqlite3.Error as error:
                raise ConfigError(f"{store.database}: not readable: {error}") from error
        engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    raise_outages(engine)
    return engine


def _next(store: Path) -> str:
    if is_full(store):
        return "its disk is full: make room, then run one with `tuner run-study`"
    return "run one with `tuner run-study`"
