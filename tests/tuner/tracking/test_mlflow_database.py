"""A store's database is made whole or not at all, and a damaged one is named in one line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainers.errors import ConfigError
from tuner.tracking.client_reader import open_client_reader
from tuner.tracking.mlflow_store import MlflowStore

ROOT = Path(__file__).parents[3]
OPEN = "import sys; from tuner.tracking.mlflow_store import MlflowStore; MlflowStore(sys.argv[1])"


def _begin(store: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", OPEN, str(store)], cwd=ROOT)


def test_a_kill_while_tables_are_made_leaves_a_store_that_works(tmp_path: Path) -> None:
    """The next to come makes the database anew; none ever sees half of one."""
    store = tmp_path / "store"
    killed = _begin(store)
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in store.glob(".new-*/mlflow.db")):
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.005)
    killed.kill()
    killed.wait(30)
    assert not (store / "mlflow.db").exists()
    other = _begin(store)
    assert open_client_reader(store).studies() == []
    assert other.wait(60) == 0
    assert open_client_reader(store).studies() == []


def test_what_a_killed_launcher_left_aside_is_swept_when_it_is_old(tmp_path: Path) -> None:
    """Not what another may be making at this moment."""
    old, new = tmp_path / ".new-old", tmp_path / ".new-new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "mlflow.db").touch()
    os.utime(old, (0, 0))
    MlflowStore(tmp_path)
    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.parametrize("open_store", [MlflowStore, open_client_reader])
def test_a_damaged_database_is_named_in_one_line(tmp_path: Path, open_store: object) -> None:
    """Whether it is to be written or read."""
    (tmp_path / "mlflow.db").write_text("no database, whatever its name says" * 100)
    assert callable(open_store)
    with pytest.raises(ConfigError, match=r"mlflow\.db: not readable as an MLflow") as caught:
        open_store(tmp_path)
    assert "\n" not in str(caught.value)
