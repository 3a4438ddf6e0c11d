"""What every task must keep, whatever its rows; and where the pinned files of the tests stand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trainers.data import TaskData, load_task
from trainers.interfaces import Example, Task
from trainers.plugins import resolve
from trainers.train import metric_names, score

SEED = 2022
OTHER_SEED = 7


def real_data_dir() -> Path | None:
    """Return the folder with the pinned files: TUNER_TEST_DATA, else one beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TUNER_TEST_DATA", beside))
    return folder if folder.is_dir() else None


def require_data_dir() -> Path:
    """Return the folder with the pinned files, or skip the test."""
    folder = real_data_dir()
    if folder is None:
        pytest.skip("no task files: set TUNER_TEST_DATA to a folder filled by tuner fetch-data")
    return folder


class TaskContract:
    """Subclass it with fixtures `task` and `data_dir`."""

    @pytest.fixture
    def data(self, task: Task, data_dir: Path) -> TaskData:
        """Load the task at the usual seed."""
        return load_task(task, data_dir, SEED)

    def test_ids_are_unique_over_all_splits(self, data: TaskData) -> None:
        """No row stands in two splits, or twice in one."""
        ids = [row.id for rows in _splits(data).values() for row in rows]
        assert ids
        assert len(set(ids)) == len(ids)

    def test_every_class_has_training_rows(self, data: TaskData) -> None:
        """Labels are unique, and train has all of them and no other."""
        assert len(set(data.labels)) == len(data.labels) >= 2
        assert {row.label for row in data.train} == set(data.labels)

    def test_rows_hold_texts(self, data: TaskData) -> None:
        """Texts and second texts are strings, and some text is not empty."""
        for rows in _splits(data).values():
            assert all(isinstance(row.text, str) for row in rows)
            assert all(row.pair is None or isinstance(row.pair, str) for row in rows)
            assert any(row.text for row in rows)

    def test_the_same_seed_loads_the_same_rows(
        self, task: Task, data_dir: Path, data: TaskData
    ) -> None:
        """Loading is a function of the settings, the files and the seed."""
        assert load_task(task, data_dir, SEED) == data

    def test_another_seed_moves_the_draw_and_never_test(
        self, task: Task, data_dir: Path, data: TaskData
    ) -> None:
        """A drawn or carved split follows the seed; test and unsampled splits stay."""
        other = task.splits(data_dir, OTHER_SEED)
        assert other.test == data.test
        sampled = {row.id for row in data.train} != {row.id for row in task.read(data_dir).train}
        moved = {row.id for row in other.train} != {row.id for row in data.train}
        assert moved == sampled
        assert (other.validation != data.validation) == sampled

    def test_the_settings_survive_json(self, task: Task) -> None:
        """A task read back from its own JSON is the same task."""
        assert resolve(Task, "trainers.tasks", task.model_dump(mode="json")) == task

    def test_a_perfect_prediction_scores_one(self, data: TaskData) -> None:
        """Every metric of the task is 1 where all classes occur and all rows are right."""
        truth = list(range(len(data.labels)))
        assert score(data.labels, truth, truth) == dict.fromkeys(metric_names(data.labels), 1.0)

    def test_its_files_are_pinned(self, task: Task) -> None:
        """Downloads name an unchanging https address and a whole SHA-256."""
        for source in task.sources():
            assert source.url.startswith("https://")
            assert len(bytes.fromhex(source.sha256)) == 32
            assert not Path(source.path).is_absolute()


def _splits(data: TaskData) -> dict[str, tuple[Example, ...]]:
    return {"train": data.train, "validation": data.validation, "test": data.test}
