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
from tuner.store.claims import Claims
from tuner.store.database import Patience, explained, name_database, opening, reach
from tuner.store.launchers import Launcher
from tuner.store.location import STORE, Store, find_store
from tuner.study.checks import Findings, Looked, look_at
from tuner.study.confirm import confirm
from tuner.study.failures import Failures, TooManyFailures
from tuner.study.inputs import Inputs, read_inputs
from tuner.study.known_good import remember_good
from tuner.study.left_behind import say_left_behind
from tuner.study.memory_cap import MemoryForecast
from tuner.study.optuna_storage import StudyStorage, open_storage
from tuner.study.progress import Watch, unwatched
from tuner.study.record import Recorder
from tuner.study.search import search
from tuner.study.session import Session
from tuner.study.sharing import share_cells
from tuner.study.shutdown import Ending
from tuner.study.tries import Tries
from tuner.tracking import (
    Tracker,
    load_mlflow,
    open_folder,
    open_server,
    reach_server,
    settle_or_say,
)


@dataclass(frozen=True)
class StudyOutcome:
    """How a call of `run_study` ended."""

    failures: tuple[str, ...]
    """A line for every cell that was given up, for every other run that failed, and for every
    confirm run that diverged."""
    unfinished: tuple[str, ...]
    """Cells that have no complete set of confirm runs."""
    late: tuple[str, ...] = ()
    """Cells that the time was up for: the same call goes on with them."""
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
        """Return 3 where the same call goes on, else 1 after failures, and 0 where all is done."""
        if self.out_of_time:
            return 3
        return 1 if self.failures or self.unfinished else 0


def run_study(
    config: StudyConfig,
    *,
    store: str | Path | Store = STORE,
    tracking: str | Tracker | None = None,
    data_dir: str | Path = DATA_DIR,
    watch: Watch = unwatched,
) -> StudyOutcome:
    """Run a study, or go on with it: whatever has finished before is not done again.

    Args:
        config: The study.
        store: Folder that keeps everything, or the URL of a PostgreSQL database for trials and
            claims, with files in `./mlruns`; `find_store` names another folder for them.
        tracking: Where runs are recorded: the address of an MLflow server, or a tracker; by
            default MLflow in the store.
        data_dir: Folder of the task files. The study's relative paths are looked for there when
            they do not stand beside its file.
        watch: Called with every notice, from several threads.

    Raises:
        DataError, ModelError: Found before anything is written.
        TooManyFailures: More runs failed than `max_failures`.
        TrackerAway: All is done, but the MLflow server was away too long to be told of it.
        KeyboardInterrupt: Passed on once every run has been ended and tracked as killed.
    """
    config, data_dir, place = config.with_data_dir(data_dir), Path(data_dir), find_store(store)
    _reach(place, tracking)
    inputs = _usable_inputs(config, data_dir)
    cells = plan(config, inputs.digests)
    executor = config.executor.open(ranks=config.most_ranks())
    _preload(tracking)
    with _closed_by_an_error(executor):
        looked = look_at(cells, data_dir, executor.compute, place.cache_dir)
    found = looked.findings
    _make(place, executor)
    inputs.say(looked.lengths)
    _remember(cells, looked, place)
    ending = Ending(executor)
    with opening(place.root, place.database_url):
        tracker = _tracker(tracking, place)
        ending.tell(tracker.hurry)
        say_left_behind(cells, tracker)
        tracker.open_study(config.name, dump_definition(cells, _faults(cells, found)))
        shared = _open_shared(config, place, ending)
        tracker.guard(shared.claims.launcher.check_silence)
    tries = Tries(
        executor=executor,
        tracker=tracker,
        store=place,
        claims=shared.claims.of_all_studies(),
        data_dir=data_dir,
        threads=config.executor.threads_of_a_run(os.cpu_count() or 1),
        memory=MemoryForecast(executor, config.memory_cap),
        measure=config.measure,
    )
    session = Session(
        recorder=Recorder(tries),
        claims=shared.claims,
        ending=ending,
        watch=watch,
        failures=Failures(config.max_failures, _faults(cells, found)),
        deadline=_deadline(config.timeout_seconds),
    )
    return _run_and_tell(cells, session, shared.storage)


def _run_and_tell(cells: Sequence[Cell], session: Session, storage: StudyStorage) -> StudyOutcome:
    """Run the cells; the tracker is told of everything, and of why some lack runs."""
    note = partial(_note_end, cells, session, dict(session.failures.faults))
    with _told(session.recorder.tracker, note):
        complete = _run_cells(cells, session, storage)
    outcome = _outcome(cells, complete, session)
    note("the time was up" if outcome.out_of_time else "")
    return outcome


def _outcome(cells: Sequence[Cell], complete: Sequence[bool], session: Session) -> StudyOutcome:
    unfinished = tuple(c.label for c, done in zip(cells, complete, strict=True) if not done)
    lines, faults = session.failures.lines, dict(session.failures.faults)
    late = tuple(label for label in unfinished if label in session.late.difference(faults))
    return StudyOutcome(lines, unfinished, late, tuple(cells), faults)


def _note_end(
    cells: Sequence[Cell], session: Session, known: Mapping[str, str], ended: str
) -> None:
    """Keep with the definition why cells lack runs, and how much each search has tried.

    So a later report can say it too, whatever has been deleted in MLflow by then.
    """
    faults = session.failures.faults
    if ended or faults != known or session.tried:
        text = dump_definition(cells, faults, ended=ended, tried=session.tried)
        session.recorder.tracker.open_study(cells[0].study.name, text)


@contextlib.contextmanager
def _told(tracker: Tracker, note: Callable[[str], None]) -> Iterator[None]:
    """Tell the tracker everything in the end; after an error, what can be told soon."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(Exception):  # what it tells of is no worse than this
            tracker.hurry()
            tracker.catch_up()
            if isinstance(error, TooManyFailures):
                note("more runs failed than max_failures")
        raise
    tracker.settle()


def _reach(place: Store, tracking: str | Tracker | None) -> None:
    """Look for the store and the MLflow server before rows are read, which may take long."""
    place.check()
    if isinstance(tracking, str):
        reach_server(tracking)
    reach(place.database_url)


def _make(place: Store, executor: Executor) -> None:
    """Make the store's folder."""
    place.make()
    if not any(place.root.iterdir()):
        executor.warm_up()  # something is to be trained for sure


def _preload(tracking: str | Tracker | None) -> None:
    """Have MLflow loaded by another process, while this one goes on."""
    if not isinstance(tracking, Tracker):
        load_mlflow()


def _remember(cells: Sequence[Cell], looked: Looked, place: Store) -> None:
    """Say which cells are left out; keep what need not be looked at again."""
    looked.findings.say()
    if looked.findings == Findings():
        remember_good(cells, place.cache_dir)
    looked.lengths.keep()


@contextlib.contextmanager
def _closed_by_an_error(executor: Executor) -> Iterator[None]:
    try:
        yield
    except BaseException:
        executor.close()
        raise


def _faults(cells: Sequence[Cell], found: Findings) -> dict[str, str]:
    """Return by label what keeps cells from being begun."""
    return {cell.label: reason for cell in cells if (reason := found.of(cell))}


def _deadline(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds


def _tracker(tracking: str | Tracker | None, store: Store) -> Tracker:
    if isinstance(tracking, str):
        return open_server(tracking, outbox=store.outbox_dir)
    if tracking is None:
        settle_or_say(store.root)
    return tracking or open_folder(store.root, outbox=store.outbox_dir)


@dataclass(frozen=True)
class _Shared:
    """What launchers share: the trials and the claims of a study, in one database."""

    storage: StudyStorage
    claims: Claims


def _open_shared(config: StudyConfig, place: Store, ending: Ending) -> _Shared:
    """Open the database, and enter this launcher."""
    url, seconds = place.database_url, config.executor.heartbeat_seconds
    patience = Patience(name_database(url), pause=ending.pause)
    storage = open_storage(url, patience)
    with explained(url):
        launcher = Launcher(
            storage.engine, config.name, patience, seconds, on_replaced=ending.close
        )
        claims = Claims(
            storage.engine,
            config.name,
            launcher,
            patience,
            ending.pause,
            poll_seconds=min(2.0, seconds / 10),
        )
        claims.open()
    return _Shared(storage, claims)


def check_inputs(config: StudyConfig, data_dir: Path) -> dict[str, Digests]:
    """Read every task and look for every model that can be looked for without loading it.

    Returns:
        Digests of the rows of each task.

    Raises:
        DataError, ModelError: What cannot be used, in one line.
        ConfigError: The metric is of a class that a task has not; the runs want DeepSpeed, and it
            is not installed; or several things are wrong, a line each.
    """
    return _usable_inputs(config, data_dir).digests


def _usable_inputs(config: StudyConfig, data_dir: Path) -> Inputs:
    inputs = read_inputs(config, data_dir)
    inputs.refuse()
    return inputs


def _run_cells(cells: Sequence[Cell], session: Session, storage: StudyStorage) -> list[bool]:
    """Run cells side by side, as many as there are workers; say of each if it is complete.

    Within a cell, trials follow each other unless there are more workers than cells, or other
    launchers: so a search learns from every trial before the next, and does not depend on timing.
    """
    workers = cells[0].study.executor.workers
    at_once = min(workers, len(cells))
    claims = session.claims

    def run_cell(cell: Cell) -> bool:
        return _run_cell(cell, session, storage, parallel=workers // at_once)

    try:
        return share_cells(cells, run_cell, claims, at_once=at_once, on_error=session.ending.close)
    except Exception:
        claims.launcher.check_now()  # what others took over refuses to be written to
        raise
    finally:
        session.recorder.tries.executor.close()
        claims.close()
        storage.engine.dispose()


def _run_cell(cell: Cell, session: Session, storage: StudyStorage, *, parallel: int) -> bool:
    if session.failures.fault_of(cell):
        return False
    if not cell.searched:
        return confirm(cell, session, {}, trial=None, parallel=parallel)
    best = search(cell, session, storage, parallel=parallel)
    if best is None:
        return False
    return confirm(cell, session, best.point, trial=best.trial, parallel=parallel)
