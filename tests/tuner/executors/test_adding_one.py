"""To add an executor is to write one file: its fields, its extra, how it is opened."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tuner.executors
from tests.journals import records
from tests.specs import toy_tree
from trainers.errors import ConfigError
from tuner.cli.app import app
from tuner.config import parse_study
from tuner.study.run import run_study

NOTED = '''
"""Do runs in the launcher, each noted in a file."""

from pathlib import Path
from typing import ClassVar, Literal

from tuner.config import ExecutorSettings, read_executor
from tuner.executors import Executor


class NotedSettings(ExecutorSettings):
    """Runs in the launcher, each noted in a file."""

    EXTRA: ClassVar[str] = "colorsys"  # which Python has

    kind: Literal["noted"] = "noted"
    """File name of the plug-in."""
    notes: Path
    """File of the notes."""

    def _open(self, ranks):
        return _Noted(self.notes)


class _Noted(Executor):
    def __init__(self, notes):
        self._notes, self._inner = notes, read_executor("inprocess").open()

    def run(self, spec, emit, workspace):
        with self._notes.open("a") as notes:
            print(spec.digest(), file=notes)
        return self._inner.run(spec, emit, workspace)

    def close(self):
        pass
'''


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write the file where executors are looked for."""
    folder = tmp_path / "executors"
    folder.mkdir()
    (folder / "noted.py").write_text(NOTED)
    monkeypatch.setattr(tuner.executors, "__path__", [*tuner.executors.__path__, str(folder)])
    yield folder
    sys.modules.pop("tuner.executors.noted", None)
    vars(tuner.executors).pop("noted", None)


def test_a_study_runs_on_it(tmp_path: Path) -> None:
    """By its name, with its own field; every run of the study goes through it."""
    notes = tmp_path / "notes"
    study = parse_study(toy_tree(executor={"kind": "noted", "notes": str(notes)}))
    outcome = run_study(study, store=tmp_path / "store", tracking="none")
    assert not outcome.failures
    digests = [run.digest for run in records(tmp_path / "store", study.name)]
    assert sorted(notes.read_text().split()) == sorted(digests)
    assert len(digests) > 4


@pytest.mark.parametrize(
    ("executor", "says"),
    [
        ({"kind": "noted"}, r"executor\.notes: field required"),
        (
            {"kind": "noted", "address": "auto"},
            r"executor\.address: got kind noted; only the executor ray has",
        ),
        (
            {"kind": "process", "notes": "x"},
            r"executor\.notes: got kind process; only the executor noted has",
        ),
        (
            {"kind": "notted"},
            r"no such kind 'notted'; known executors: .*; did you mean noted",
        ),
    ],
)
def test_its_fields_are_its_own(executor: object, says: str) -> None:
    """Messages know the new kind and its fields."""
    with pytest.raises(ConfigError, match=says):
        parse_study(toy_tree(executor=executor))


def test_a_missing_extra_is_named(folder: Path) -> None:
    """One line says what to install, once runs are to begin."""
    (folder / "noted.py").write_text(NOTED.replace("colorsys", "no_such_extra"))
    study = parse_study(toy_tree(executor={"kind": "noted", "notes": "notes"}))
    with pytest.raises(ConfigError, match=r"noted needs .* `pip install 'tuner-studies\[no_such"):
        study.executor.open()


def test_the_command_line_lists_it() -> None:
    """With its first line and its fields."""
    done = CliRunner().invoke(app, ["list", "executors"], env={"COLUMNS": "200"})
    assert "noted" in done.output
    assert "Runs in the launcher, each noted in a file. (workers, threads," in done.output
