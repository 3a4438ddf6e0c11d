"""A store that version 0.1 wrote is refused in one line, and nothing is written into it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.specs import toy_tree
from tests.starts import tuner


@pytest.mark.parametrize("command", ["run-study", "report", "plan"])
def test_a_store_of_version_0_1_is_refused_in_one_line(command: str, tmp_path: Path) -> None:
    """It has trials in `optuna.db`, and no journal."""
    store = tmp_path / "store"
    store.mkdir()
    (store / "optuna.db").write_bytes(b"trials")
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(toy_tree()))
    study = "toy-study" if command == "report" else "study.yaml"
    done = tuner(command, study, "--store", "store", cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "--store store: tuner 0.1 wrote this store, which this version does not read" in line
    assert [path.name for path in store.iterdir()] == ["optuna.db"]
