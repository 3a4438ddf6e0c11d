"""Read what a store knows of a study, without writing to it: runs, and which are done."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Container, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from trainers.contract import RunSpec, Seeds
from trainers.errors import ConfigError
from tuner.config import Cell, StudyConfig, count_points
from tuner.forecast.time.forecasts import Count
from tuner.report import Search, plan_cell, read_search
from tuner.store.location import Store, check_folder
from tuner.store.outcome import Order, read_outcome
from tuner.tracking import RunRecord, open_reader


@dataclass(frozen=True)
class History:
    """The runs of a store, as far as they tell something about a study."""

    store: Store
    runs: tuple[RunRecord, ...] = ()
    """Of the study itself."""
    others: tuple[RunRecord, ...] = ()
    """Of other studies on the same tasks and models."""

    def of_cell(self, cell: Cell) -> list[RunRecord]:
        """Return the study's runs of a cell as it is defined now."""
        return [run for run in self.runs if run.group.cell == cell.fingerprint()]


@dataclass(frozen=True)
class CellProgress:
    """What a cell has done and has left."""

    search: Count
    confirm: Count


def read_history(config: StudyConfig, store: Path, *, tracking: str | None = None) -> History:
    """Read the runs of a store; a store that does not exist has none, and is not made.

    Args:
        config: The study.
        store: Its folder.
        tracking: Address of the MLflow server that has its runs; by default the store has them.

    Raises:
        ConfigError: The store is no folder, or holds a database that is not MLflow's; or no
            server answers.
    """
    place = Store(store)
    if re.match(r"\w+:/", str(store)):
        raise ConfigError(f"--store {store}: a study runs in a folder, got an address")
    check_folder(store)
    if tracking is None:
        database = store / "mlflow.db"
        if not database.exists():
            return History(place)
        _check_database(database)
    reader = open_reader(tracking or store)
    blocks = {(task.name, model.name) for task in config.tasks for model in config.models}
    names = [name for name in reader.studies() if name != config.name]
    others = [run for name in names for run in reader.runs(name)]
    return History(
        place,
        tuple(reader.runs(config.name)),
        tuple(run for run in others if (run.group.task, run.group.model) in blocks),
    )


def progress(cell: Cell, history: History) -> CellProgress:
    """Count a cell's runs; while its search goes on, its confirm runs are all to be done."""
    seeds = len(cell.study.confirm.seeds)
    if not cell.searched:
        fixed = cell.spec(cell.study.confirm.seeds[0], confirm=True)
        tracked = _tracked(cell, None, history)
        return CellProgress(_count(0, 0), _count(seeds, _confirmed(cell, fixed, history, tracked)))
    search = read_search(plan_cell(cell), sorted(history.of_cell(cell), key=lambda run: run.start))
    done = 0
    if search.spent and search.chosen is not None:
        tracked = _tracked(cell, search.chosen, history)
        chosen = [trial.runs[0] for trial in search.trials if trial.number == search.chosen]
        spec = _stored_spec(chosen[0], history) if chosen else None
        done = (
            len(set(tracked.values()))
            if spec is None
            else _confirmed(cell, spec, history, tracked)
        )
    return CellProgress(_search(search, cell), _count(seeds, done))


def _search(search: Search, cell: Cell) -> Count:
    """Count a cell's search runs: none is done for a point that comes again, which is found."""
    settings, points = cell.study.search, count_points(cell.study.arms[cell.arm].space)
    seeds = len(settings.seeds)
    different = settings.trials if points is None else min(settings.trials, points)
    ended = [trial for trial in search.trials if trial.counts and not trial.lacks(seeds)]
    tried = _different([trial.runs for trial in ended]) + search.lost
    left = max(0, min(settings.trials - search.counted, different - tried)) * seeds
    # Of a trial that was interrupted, the seeds that have finished are not run again.
    begun = sum(
        run.state == "finished"
        for trial in search.trials
        if trial not in ended
        for run in trial.runs
    )
    planned = different * seeds
    return _count(planned, planned - max(0, left - begun))


def _count(planned: int, done: int) -> Count:
    return Count(planned=planned, done=done, left=planned - done)


def _different(trials: Sequence[Sequence[RunRecord]]) -> int:
    """Count the different points of trials: equal ones share a run's digest."""
    seen: set[str] = set()
    count = 0
    for runs in trials:
        digests = {run.digest for run in runs}
        count += seen.isdisjoint(digests)
        seen |= digests
    return count


def _stored_spec(run: RunRecord, history: History) -> RunSpec | None:
    path = history.store.run_dir(run.digest) / "spec.json"
    if not path.is_file():
        return None
    try:
        return RunSpec.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not readable as a run's spec") from error


def _tracked(cell: Cell, trial: int | None, history: History) -> dict[str, Seeds]:
    """Return digest and seeds of the confirm runs that the tracker has as finished."""
    wanted = cell.study.confirm.seeds
    return {
        run.digest: run.seeds
        for run in history.of_cell(cell)
        if (run.group.phase, run.group.trial, run.state) == ("confirm", trial, "finished")
        and run.seeds in wanted
    }


def _confirmed(cell: Cell, spec: RunSpec, history: History, tracked: Container[str]) -> int:
    """Count the confirm runs whose outcome stands in the store, as `Recorder` would find it.

    One that left no folder here was done on another machine.
    """
    done = 0
    for seeds in cell.study.confirm.seeds:
        wanted = spec.model_copy(update={"seeds": seeds, "read_test": True, "save": cell.keeper})
        folder = history.store.run_dir(wanted.digest())
        order = Order(wanted, "", "", cell.data.get(seeds.data, {}))
        try:
            outcome = read_outcome(folder)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{folder / 'outcome.json'}: not readable") from error
        here = outcome is not None and order.fulfilled_by(outcome)
        done += here or (not folder.exists() and wanted.digest() in tracked)
    return done


def _check_database(path: Path) -> None:
    """Look whether a file is MLflow's database: MLflow would make one of an empty file.

    Raises:
        ConfigError: It is not, or cannot be read.
    """
    try:
        address = path.resolve().as_uri() + "?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as database:
            database.execute("SELECT COUNT(*) FROM experiments").fetchone()
    except sqlite3.Error as error:
        raise ConfigError(f"{path}: not readable as an MLflow database ({error})") from error
