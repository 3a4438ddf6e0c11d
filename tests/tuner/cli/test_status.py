"""`tuner status` over real stores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import refused
from tests.specs import toy_study
from tuner.store import Store
from tuner.store.database import open_engine
from tuner.study.run import run_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a store of two studies: one has ended, the other has no time."""
    folder = tmp_path_factory.mktemp("status")
    store = folder / "mlruns"
    arms = {"full": {"method": "full"}, "head": {"method": "head"}}
    study = toy_study(arms=arms, confirm={"seeds": [1]})
    late = study.model_copy(update={"name": "a-study-without-time", "timeout_seconds": 0.0})
    for one in (late, study):
        run_study(one, store=store, data_dir=store / "data", tracking="none")
    return folder


def test_the_studies_of_a_store_are_listed(folder: Path) -> None:
    """The last one first, each in a line that fits a terminal."""
    done = refused("status", cwd=folder, COLUMNS="79")
    assert done.returncode == 0, done.stderr
    head, ended, stopped = done.stdout.splitlines()
    assert head.split() == ["study", "state", "runs", "best", "last", "run"]
    assert ended.startswith("toy-study")
    for words in ("ended", "2 of 2", "macro-F1", "s ago"):
        assert words in ended
    assert stopped.split() == ["a-study-without-time", "stopped", "0", "of", "2", "-", "none"]
    assert max(map(len, done.stdout.splitlines())) <= 79


def test_the_same_as_json(folder: Path) -> None:
    """Scores as fractions, times in seconds."""
    ended, stopped = json.loads(refused("status", "--json", cwd=folder).stdout)
    assert (ended["study"], ended["state"], ended["done"]) == ("toy-study", "ended", 2)
    assert ended["best"][0]["split"] == "test"
    assert 0 <= ended["best"][0]["score"] <= 1
    assert (stopped["state"], stopped["best"], stopped["last"]) == ("stopped", [], None)


def test_a_store_without_studies_is_one_line(tmp_path: Path) -> None:
    """A missing one, and one whose journal is empty."""
    missing = refused("status", cwd=tmp_path)
    line = "tuner: --store mlruns: no studies here yet; run one with `tuner run-study`\n"
    assert (missing.returncode, missing.stderr, missing.stdout) == (2, line, "")
    (tmp_path / "mlruns").mkdir()
    open_engine(Store(tmp_path / "mlruns").database_url).dispose()
    empty = refused("status", cwd=tmp_path)
    assert empty.stderr == line
