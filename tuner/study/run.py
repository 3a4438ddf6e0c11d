"""Run a study: check its data, search every cell, confirm the best of each."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tuner.config import DATA_DIR, Cell, Digests, StudyConfig, dump_definition, plan
from tuner.executors import Executor
from tuner.store import STORE, JournalReader, Store, check_version, find_store
from tuner.store.database import RetryPolicy, explained, name_database, open_engine, opening, reach
from tuner.store.definitions import open_study
from tuner.store.journal import Journal
from tuner.store.leases import Lease
from tuner.store.runs import Runs
from tuner.study.attempt import Recorder
from tuner.study.checks import Findings, Inspection, inspect_cells
from tuner.study.confirm import confirm
from tuner.study.failures import Failures, TooManyFailures
from tuner.study.finalists import choose
from tuner.study.inputs import Inputs, read_inputs
from tuner.study.known_good import remember_good
from tuner.study.left_behind import log_left_behind
from tuner.study.memory_cap import MemoryForecast
from tuner.study.progress import Watch, unwatched
from tuner.study.recalled import recall_seeds
from tuner.study.search import search
from tuner.study.session import Session
from tuner.study.sharing import share_cells
from tuner.study.shutdown import Shutdown
from tuner.tracking import (
    NoProjector,
    Projector,
    open_server_reader,
    reach_server,
    settle_or_warn,
)

NO_TRACKING = "none"
"""Value of `tracking` that leaves MLflow out: only the journal is written."""


@dataclass(frozen=True)
class StudyOutcome:
    """The outcome of a call of `run_study`."""

    failures: tuple[str, ...]
    """A line for every cell that was given up, for every other run that failed, and for every
    confirm run that diverged."""
    unfinished: tuple[str, ...]
    """Cells that have no complete set of confirm runs."""
    late: tuple[str, ...] = ()
    """Cells that ran out of time: the same call continues with them."""
    cells: tuple[Cell, ...] = field(default=(), compare=False)
    """The study's cells, with the digests of the data that were read."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """Why cells were given up, by label."""

    @property
    def out_of_time(self) -> bool:
        """Whether the time was up before all was done."""
        return bool(self.late)

    @property
    def exit_code(self) -> int:
        """Return 3 where the same call can continue, else 1 after failures, else 0."""
        if self.out_of_time:
            return 3
        return 1 if self.failures or self.unfinished else 0


def run_study(
    config: StudyConfig,
    *,
    store: str | Path | Store = STORE,
    tracking: str | None = None,
    data_dir: str | Path = DATA_DIR,
    watch: Watch = unwatched,
) -> StudyOutcome:
    """Run a study, or continue it: finished runs are not done again.

    Confirm seeds that were added to the study in the store are run too; see `add_seeds`.

    Args:
        config: The study.
        store: Folder of everything, or the URL of a PostgreSQL database for the
            journal, with files in `./mlruns`; `find_store` names another folder for them.
        tracking: Where runs are shown: the address of an MLflow server, or `none`; by default
            MLflow in the store.
        data_dir: Folder of the task files. The study's relative paths are looked for beside its
            file, then there.
        watch: Called with every notice, from several threads.

    Raises:
        DataError, ModelError: Invalid inputs, found before anything is written.
        TooManyFailures: More runs failed than `max_failures`.
        TrackerAway: All runs are done, but the MLflow server was unavailable for too long.
        KeyboardInterrupt: Raised again after every run was ended and recorded as killed.
    """
    config, data_dir, place = config.with_data_dir(data_dir), Path(data_dir), find_store(store)
    _reach(place, tracking)
    config = recall_seeds(config, place)
    inputs = _usable_inputs(config, data_dir)
    cells = plan(config, inputs.digests)
    executor = config.executor.open(ranks=config.most_ranks())
    projector = _projector(tracking)
    with _closed_by_an_error(executor, projector):
        if tracking not in (None, NO_TRACKING):
            open_server_reader(str(tracking))  # other servers are refused first
        inspection = inspect_cells(cells, data_dir, executor.compute, place.cache_dir)
        found = inspection.findings
        _make(place, executor)
        inputs.log(inspection.lengths)
        _remember(cells, inspection, place)
        shutdown = Shutdown(executor)
        shutdown.on_begin(projector.hurry)
        journal = _open_journal(cells, found, place, shutdown)
        if tracking is None:
            settle_or_warn(place.root)
        projector.start(place)
    recorder = Recorder(
        executor=executor,
        runs=Runs(journal),
        store=place,
        data_dir=data_dir,
        threads=config.executor.threads_of_a_run(os.cpu_count() or 1),
        memory=MemoryForecast(executor, config.memory_cap),
        measure=config.measure,
        since=journal.last_id(),
    )
    session = Session(
        recorder=recorder,
        shutdown=shutdown,
        watch=watch,
        failures=Failures(config.max_failures, _faults(cells, found)),
        deadline=_deadline(config.timeout_seconds),
        poll_seconds=min(2.0, config.executor.heartbeat_seconds / 10),
    )
    return _run_and_project(cells, session, projector)


def _run_and_project(
    cells: Sequence[Cell], session: Session, projector: NoProjector
) -> StudyOutcome:
    """Run the cells; note in the journal why some lack runs; wait for the projection."""
    journal = session.recorder.runs.journal
    note = partial(_note_end, cells, session, dict(session.failures.faults))
    try:
        with _closed(journal, projector, note):
            complete = _run_cells(cells, session)
            outcome = _outcome(cells, complete, session)
            note("the time was up" if outcome.out_of_time else "")
            last = journal.last_id()
            journal.writer.close()
            projector.settle(last)
    finally:
        journal.engine.dispose()
    return outcome


def _outcome(cells: Sequence[Cell], complete: Sequence[bool], session: Session) -> StudyOutcome:
    unfinished = tuple(c.label for c, done in zip(cells, complete, strict=True) if not done)
    lines, faults = session.failures.lines, dict(session.failures.faults)
    late = tuple(label for label in unfinished if label in session.late.difference(faults))
    return StudyOutcome(lines, unfinished, late, tuple(cells), faults)


def _note_end(
    cells: Sequence[Cell], session: Session, known: Mapping[str, str], ended: str
) -> None:
    """Keep in the definition why cells lack runs, and how many trials each search has done.

    A later report needs it.
    """
    faults = session.failures.faults
    if ended or faults != known or session.tried:
        text = dump_definition(
            cells, faults, ended=ended, tried=session.tried, chosen=session.chosen
        )
        open_study(session.recorder.runs.journal, cells[0].study.name, text)


@contextlib.contextmanager
def _closed(
    journal: Journal, projector: NoProjector, note: Callable[[str], None]
) -> Iterator[None]:
    """End the lease and the projection at the end; after an error, within seconds."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(Exception):  # the first error is the one to report
            if isinstance(error, TooManyFailures):
                note("more runs failed than max_failures")
            projector.hurry()
            journal.writer.close()
            projector.settle(journal.last_id())
        raise
    finally:
        journal.writer.close()
        projector.close()


def _reach(place: Store, tracking: str | None) -> None:
    """Check store and MLflow server first: reading the rows may take long."""
    place.check()
    check_version(place)
    if tracking not in (None, NO_TRACKING):
        reach_server(str(tracking))
    reach(place.database_url)


def _make(place: Store, executor: Executor) -> None:
    """Make the store's folder."""
    place.make()
    if not any(place.root.iterdir()):
        executor.warm_up()  # a new store: something will be trained


def _remember(cells: Sequence[Cell], inspection: Inspection, place: Store) -> None:
    """Log the cells that are left out; cache the results of the checks."""
    inspection.findings.log()
    if inspection.findings == Findings():
        remember_good(cells, place.cache_dir)
    inspection.lengths.keep()


@contextlib.contextmanager
def _closed_by_an_error(executor: Executor, projector: NoProjector) -> Iterator[None]:
    try:
        yield
    except BaseException:
        executor.close()
        projector.close()
        raise


def _faults(cells: Sequence[Cell], found: Findings) -> dict[str, str]:
    """Return the faults of cells, by label."""
    return {cell.label: reason for cell in cells if (reason := found.of(cell))}


def _deadline(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds


def _projector(tracking: str | None) -> NoProjector:
    """Start the process that writes to MLflow: it loads MLflow while this one continues."""
    return NoProjector() if tracking == NO_TRACKING else Projector(tracking)


def _open_journal(
    cells: Sequence[Cell], found: Findings, place: Store, shutdown: Shutdown
) -> Journal:
    """Open the database, open this launcher's lease, and append the study's definition."""
    study, url = cells[0].study, place.database_url
    policy = RetryPolicy(name_database(url), pause=shutdown.pause)
    seconds = study.executor.heartbeat_seconds
    with opening(place.root, url):
        with explained(url):
            engine = open_engine(url)
            lease = Lease(engine, policy, seconds, on_replaced=shutdown.begin)
            lease.open()
        journal = Journal(engine, policy, lease)
        log_left_behind(cells, JournalReader(journal, place))
        open_study(journal, study.name, dump_definition(cells, _faults(cells, found)))
    return journal


def check_inputs(config: StudyConfig, data_dir: Path) -> dict[str, Digests]:
    """Read every task, and look for every model without loading it.

    Returns:
        Digests of the rows of each task.

    Raises:
        DataError, ModelError: An invalid input, in one line.
        ConfigError: The metric is of a class that a task does not have; the runs need DeepSpeed,
            which is not installed; or there are several errors, a line each.
    """
    return _usable_inputs(config, data_dir).digests


def _usable_inputs(config: StudyConfig, data_dir: Path) -> Inputs:
    inputs = read_inputs(config, data_dir)
    inputs.refuse()
    return inputs


def _run_cells(cells: Sequence[Cell], session: Session) -> list[bool]:
    """Run cells in parallel, as many as there are workers; return whether each is complete.

    Within a cell, trials follow each other unless there are more workers than cells, or other
    launchers: so a search learns from every trial before the next, and does not depend on timing.
    """
    workers = cells[0].study.executor.workers
    at_once = min(workers, len(cells))
    journal = session.recorder.runs.journal

    def run_cell(cell: Cell) -> bool:
        return _run_cell(cell, session, parallel=workers // at_once)

    try:
        return share_cells(
            cells, run_cell, journal, at_once=at_once, on_error=session.shutdown.begin
        )
    except Exception:
        journal.writer.check_now()  # raises the cause if others have taken over the runs
        raise
    finally:
        session.recorder.executor.close()


def _run_cell(cell: Cell, session: Session, *, parallel: int) -> bool:
    if session.failures.fault_of(cell):
        return False
    if not cell.searched:
        return confirm(cell, session, {}, trial=None, parallel=parallel)
    best = choose(cell, session, search(cell, session, parallel=parallel), parallel=parallel)
    if best is None:
        return False
    session.chosen[cell.label] = best.trial
    return confirm(cell, session, best.point, trial=best.trial, parallel=parallel)
