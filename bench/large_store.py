"""Make a large store quickly: track a few runs, then multiply them in the database."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.made_up import STUDY, make_events, make_group, make_result, write_predictions
from trainers.contract import RunSpec, Seeds
from trainers.train import PREDICTIONS
from tuner.config import StudyConfig, dump_study, parse_study
from tuner.tracking import Group, open_tracker

SEARCH_SHARE = 0.8
_FILES = 25
"""Different files of predictions for a task; runs share them."""
_PRUNED = 0.3
"""Share of the trials."""
_TABLES = ("runs", "tags", "params", "latest_metrics", "metrics")
_RATE = {"float": [1.0e-5, 1.0e-2], "log": True}
_TREE: dict[str, Any] = {
    "name": STUDY,
    "tasks": [{"kind": "toy", "name": "reviews"}, {"kind": "toy", "name": "news", "seed": 7}],
    "models": ["tiny-bert"],
    "confirm": {"seeds": [1, 2, 3]},
    "arms": {
        name: {"method": name, "space": {"train.learning_rate": _RATE}}
        for name in ("full", "lora", "bottleneck", "bitfit", "head")
    },
}


@dataclass(frozen=True)
class Model:
    """A run that was really tracked, to be multiplied, with its parent."""

    group: Group
    skill: float
    """Mean score of the cell."""
    parent: Mapping[str, list[dict[str, Any]]]
    run: Mapping[str, list[dict[str, Any]]]
    """Rows by table."""


@dataclass
class Rows:
    """Rows to be inserted, by table."""

    tables: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {name: [] for name in _TABLES}
    )

    def add(self, source: Mapping[str, list[dict[str, Any]]], run_id: str) -> None:
        """Add copies of a run's rows under another identifier."""
        for name, rows in source.items():
            self.tables[name] += [row | {"run_uuid": run_id} for row in rows]


def make_store(folder: Path, *, runs: int, points: int) -> None:
    """Fill a new store with a study of two tasks and five arms.

    Args:
        folder: Made by this call.
        runs: Trained runs, search and confirm together; parents come on top.
        points: Values of each of the three curves.
    """
    draw = random.Random(runs)
    config = parse_study(_TREE)
    models = list(_tracked(folder, config, points))
    files = {
        task: list(_prediction_files(folder / "files", task, draw)) for task in _tasks(config)
    }
    cells = len(models) // 2
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        database.executescript("pragma synchronous = off; pragma journal_mode = memory;")
        for model in models:
            search = model.group.phase == "search"
            share = SEARCH_SHARE if search else 1 - SEARCH_SHARE
            count = round(runs / cells * share) - 1  # one is there already
            _insert(database, _copies(model, count, files[model.group.task], draw))
        database.commit()
        database.execute("analyze")
    shutil.rmtree(folder / "files")


def _tasks(config: StudyConfig) -> list[str]:
    return [task.name for task in config.tasks]


def _tracked(folder: Path, config: StudyConfig, points: int) -> Iterator[Model]:
    """Track one run of each phase in every cell, and yield what the database holds of it."""
    tracker = open_tracker(folder)
    tracker.open_study(STUDY, dump_study(config))
    left = folder / "files"
    left.mkdir(exist_ok=True)
    # As `tuner run-study` leaves it: later reports replace the files of the first.
    tracker.log_report(STUDY, left)
    cells = itertools.product(config.tasks, config.models, config.arms.items())
    for number, (task, model, (name, arm)) in enumerate(cells):
        skill = 0.7 + 0.02 * (number % 7)
        for phase in ("search", "confirm"):
            group = make_group((task.name, model.name, name), phase, cell=f"{number:012x}")
            spec = RunSpec(
                task=task,
                model=model,
                method=arm.method,
                seeds=Seeds(init=1, order=1),
                read_test=phase == "confirm",
            )
            parent_id = tracker.open_group(group, spec.flat())
            run_id = tracker.open_run(parent_id, spec, adopt=False)
            tracker.log(run_id, list(make_events(points, skill)))
            if phase == "confirm":
                write_predictions(left / PREDICTIONS, task.name, skill, random.Random(number))
            result = make_result(skill, phase)
            tracker.close_run(run_id, state="finished", result=result, folder=left)
            tracker.close_group(parent_id, state="finished", metrics={"score_mean": skill})
            (left / PREDICTIONS).unlink(missing_ok=True)
            with closing(sqlite3.connect(folder / "mlflow.db")) as database:
                yield Model(group, skill, _read(database, parent_id), _read(database, run_id))


def _prediction_files(folder: Path, task: str, draw: random.Random) -> Iterator[Path]:
    for number in range(_FILES):
        path = folder / f"{task}-{number}.parquet"
        write_predictions(path, task, 0.8, draw)
        yield path


def _read(database: sqlite3.Connection, run_id: str) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for name in _TABLES:
        cursor = database.execute(f"select * from {name} where run_uuid = ?", (run_id,))
        columns = [column[0] for column in cursor.description]
        found[name] = [dict(zip(columns, row, strict=True)) for row in cursor]
    return found


def _insert(database: sqlite3.Connection, rows: Rows) -> None:
    for name, entries in rows.tables.items():
        if entries:
            columns = list(entries[0])
            marks = ", ".join("?" * len(columns))
            names = ", ".join(f'"{column}"' for column in columns)
            values = (tuple(entry[column] for column in columns) for entry in entries)
            database.executemany(f"insert into {name} ({names}) values ({marks})", values)


def _copies(model: Model, count: int, files: Sequence[Path], draw: random.Random) -> Rows:
    """Return further trials of a search, each under a parent of its own, or further seeds."""
    rows = Rows()
    parent_id = model.parent["runs"][0]["run_uuid"]
    for number in range(1, count + 1):
        run_id, pruned = uuid.UUID(int=draw.getrandbits(128)).hex, False
        if model.group.phase == "search":
            parent_id = uuid.UUID(int=draw.getrandbits(128)).hex
            rows.add(_changed(model.parent, {"tuner.trial": str(number)}, number, draw), parent_id)
            tags, pruned = {"tuner.trial": str(number)}, draw.random() < _PRUNED
        else:
            seed = 1 + number
            seeds = {"init": seed, "order": seed, "data": 2022}
            tags = {"tuner.seed": str(seed), "tuner.seeds": json.dumps(seeds)}
            _place_file(model, run_id, files[number % len(files)])
        tags |= {"tuner.digest": f"{draw.getrandbits(64):016x}", "mlflow.parentRunId": parent_id}
        tags |= {"tuner.state": "pruned", "tuner.reason": "worse"} if pruned else {}
        changed = _changed(model.run, tags, number, draw)
        if pruned:
            changed["runs"][0]["status"] = "KILLED"
        rows.add(changed, run_id)
    for run in rows.tables["runs"]:
        run["artifact_uri"] = _uri(model, run["run_uuid"])
    return rows


def _changed(
    source: Mapping[str, list[dict[str, Any]]],
    tags: Mapping[str, str],
    number: int,
    draw: random.Random,
) -> dict[str, list[dict[str, Any]]]:
    """Return a run's rows with other tags, another start, learning rate and scores."""
    rows = {name: [dict(row) for row in entries] for name, entries in source.items()}
    for run in rows["runs"]:
        run["start_time"] += number
    for tag in rows["tags"]:
        tag["value"] = tags.get(tag["key"], tag["value"])
    for param in rows["params"]:
        if param["key"] == "train.learning_rate":
            param["value"] = repr(10 ** draw.uniform(-5, -2))
    noise = draw.gauss(0, 0.01)
    for metric in (*rows["latest_metrics"], *rows["metrics"]):
        if metric["key"].startswith(("train/", "validation/", "test/")):
            metric["value"] += noise
        elif metric["key"].startswith("seconds/"):
            metric["value"] *= 1 + noise
    return rows


def _uri(model: Model, run_id: str) -> str:
    run = model.run["runs"][0]
    uri: str = run["artifact_uri"]
    return uri.replace(run["run_uuid"], run_id)


def _place_file(model: Model, run_id: str, file: Path) -> None:
    folder = Path(_uri(model, run_id).removeprefix("file://"))
    folder.mkdir(parents=True)
    shutil.copy(file, folder / PREDICTIONS)
