"""Every named task, and the kinds that need settings, keep the contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.task_contract import TaskContract, real_data_dir, require_data_dir
from trainers.interfaces import Task
from trainers.plugins import kinds, named, plugin_class, resolve

PACKAGE = "trainers.tasks"

NEEDS_SETTINGS: dict[str, dict[str, Any]] = {
    "text_file": {"kind": "text_file", "train": "train.jsonl", "test": "test.jsonl"},
    "hub": {"kind": "hub", "id": "hub_folder"},
    "joined": {
        "kind": "joined",
        "tasks": ["toy", {"kind": "toy", "name": "few", "few_shot": {"count": 32}}],
    },
}


def short_names() -> set[str]:
    """List the names, without a bare kind where the kind has names of its own."""
    names = named(Task, PACKAGE)
    return {
        name
        for name, settings in names.items()
        if name in (own := plugin_class(Task, PACKAGE, settings["kind"]).NAMED) or not own
    }


class TestNamedTasks(TaskContract):
    """The short names that a study may use."""

    @pytest.fixture(params=sorted(short_names()))
    def task(self, request: pytest.FixtureRequest) -> Task:
        """Give each named task in turn."""
        return resolve(Task, PACKAGE, request.param)

    @pytest.fixture
    def data_dir(self, task: Task, tmp_path: Path) -> Path:
        """Give the real files; tasks that need none run without them."""
        return require_data_dir() if task.sources() else real_data_dir() or tmp_path


class TestTasksWithSettings(TaskContract):
    """The kinds that do nothing without a user's settings."""

    @pytest.fixture(params=sorted(NEEDS_SETTINGS))
    def task(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Task:
        """Give each kind, on files written here."""
        folder = tmp_path / "hub_folder"
        folder.mkdir()
        for split, count in {"train": 40, "test": 12}.items():
            rows = [{"text": f"{split} {n}", "label": f"class {n % 3}"} for n in range(count)]
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (tmp_path / f"{split}.jsonl").write_text(lines)
            (folder / f"{split}.jsonl").write_text(lines)
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
        monkeypatch.chdir(tmp_path)
        return resolve(Task, PACKAGE, NEEDS_SETTINGS[request.param])

    @pytest.fixture
    def data_dir(self, tmp_path: Path) -> Path:
        """Give the folder of the written files."""
        return tmp_path


def test_no_kind_escapes_the_contract() -> None:
    """A new task file is either usable by name or has settings above."""
    by_name = {settings["kind"] for settings in named(Task, PACKAGE).values()}
    assert by_name | set(NEEDS_SETTINGS) == set(kinds(Task, PACKAGE))
