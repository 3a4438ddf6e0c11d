"""Make a large store quickly: a journal of made-up runs, and its projection to MLflow."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.made_up import STUDY, make_events, make_result, write_predictions
from tests.journals import opened
from trainers.train import PREDICTIONS
from tuner.config import Cell, StudyConfig, dump_definition, parse_study, plan
from tuner.store import Store
from tuner.store.definitions import open_study
from tuner.store.journal import Journal
from tuner.store.outcome import Outcome
from tuner.store.runs import EventLog, GroupEnd, RunBegun, Runs, event_topic
from tuner.study import check_inputs
from tuner.study.session import Configuration
from tuner.tracking import Projector

SEARCH_SHARE = 0.8
_FILES = 25
"""Different files of predictions for a task; runs share them."""
_PRUNED = 0.3
"""Share of the trials."""
_RATE = {"float": [1.0e-5, 1.0e-2], "log": True}
_TASKS = [{"kind": "toy", "name": "reviews"}, {"kind": "toy", "name": "news", "seed": 7}]
_ARMS = ("full", "lora", "bottleneck", "bitfit", "head")


def make_store(folder: Path, *, runs: int, points: int, mlflow: bool) -> None:
    """Fill a new store with a study of two tasks and five arms.

    Args:
        folder: The new store.
        runs: Trained runs, search and confirm together.
        points: Values of each of the three curves.
        mlflow: Project them to MLflow too, which takes a fifth of a second for each.
    """
    folder.mkdir(parents=True)
    config = _study(runs)
    cells = plan(config, check_inputs(config, folder))
    with opened(folder, seconds=3600.0) as journal, tempfile.TemporaryDirectory() as scratch:
        open_study(journal, STUDY, dump_definition(cells))
        draw = random.Random(runs)
        for number, cell in enumerate(cells):
            files = list(_prediction_files(Path(scratch), cell.task, draw))
            made = _MadeUp(Store(folder), journal, points, draw, files)
            made.add(cell, skill=0.7 + 0.02 * (number % 7))
        last = journal.last_id()
    if mlflow:
        projector = Projector()
        projector.start(Store(folder))
        projector.settle(last)
        projector.close()


def _study(runs: int) -> StudyConfig:
    cells = len(_TASKS) * len(_ARMS)
    trials, seeds = (round(runs / cells * s) for s in (SEARCH_SHARE, 1 - SEARCH_SHARE))
    tree: dict[str, Any] = {
        "name": STUDY,
        "tasks": _TASKS,
        "models": ["tiny-bert"],
        "search": {"trials": trials, "seeds": [7], "pruner": "median", "finalists": "none"},
        "confirm": {"seeds": list(range(1, seeds + 1))},
        "arms": {
            name: {"method": name, "space": {"train.learning_rate": _RATE}} for name in _ARMS
        },
    }
    return parse_study(tree)


def _prediction_files(folder: Path, task: str, draw: random.Random) -> Iterator[Path]:
    for number in range(_FILES):
        path = folder / f"{task}-{number}.parquet"
        if not path.exists():
            write_predictions(path, task, 0.8, draw)
        yield path


class _MadeUp:
    """Records runs as a launcher would, without training."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        points: int,
        draw: random.Random,
        files: list[Path],
    ) -> None:
        self._store, self._journal, self._runs = store, journal, Runs(journal)
        self._points, self._draw, self._files = points, draw, files

    def add(self, cell: Cell, skill: float) -> None:
        """Add the search and the confirm runs of a cell."""
        (seeds,) = cell.study.search.seeds
        best, chosen, point = -1.0, 0, {"train.learning_rate": 1e-3}
        for trial in range(cell.study.search.trials):
            score = skill + self._draw.gauss(0, 0.01)
            tried = {"train.learning_rate": 10 ** self._draw.uniform(-5, -2)}
            pruned = trial > 0 and self._draw.random() < _PRUNED
            place = Configuration(cell, "search", trial)
            self._enter(place, cell.spec(seeds, tried), score, pruned=pruned)
            self._close(place, pruned=pruned)
            if not pruned and score > best:
                best, chosen, point = score, trial, tried
        place = Configuration(cell, "confirm", chosen)
        for number, seeds in enumerate(cell.study.confirm.seeds):
            spec = cell.spec(seeds, point, confirm=True)
            folder = self._enter(place, spec, skill + self._draw.gauss(0, 0.01))
            folder.mkdir(parents=True)
            shutil.copy(self._files[number % _FILES], folder / PREDICTIONS)
        self._close(place)

    def _enter(
        self, place: Configuration, spec: Any, skill: float, *, pruned: bool = False
    ) -> Path:
        """Record a run; return its folder."""
        begun = RunBegun(group=place.group, spec=spec.model_dump(mode="json"))
        attempt = self._runs.take(spec.digest(), begun.model_dump_json())
        assert attempt is not None
        events = EventLog(self._journal, event_topic(attempt.name, attempt.number))
        for event in make_events(self._points, skill):
            events.write(event)
        events.flush()
        result = None if pruned else make_result(skill, place.phase)
        outcome = Outcome(
            state="pruned" if pruned else "finished",
            reason="worse" if pruned else "",
            result=result,
            metrics=events.metrics,
            facts=events.facts,
        )
        self._runs.end(attempt, outcome.model_dump_json())
        return self._store.run_dir(attempt.name, attempt.number)

    def _close(self, place: Configuration, *, pruned: bool = False) -> None:
        self._runs.close(place.group, GroupEnd(state="pruned" if pruned else "finished"))
