"""A store that version 0.1 wrote is refused in one line, and nothing is written into it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.specs import toy_tree

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("command", ["run-study", "report", "plan"])
def test_a_store_of_version_0_1_is_refused_in_one_line(command: str, tmp_path: Path) -> None:
    """It has trials in `optuna.db`, and no journal."""
    store = tmp_path / "store"
    store.mkdir()
    (store / "optuna.db").write_bytes(b"trials")
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(toy_tree()))
    study = "toy-study" if command == "report" else "study.yaml"
    words = [sys.executable, "-m", "tuner", command, study, "--store", "store"]
    done = subprocess.run(
        words, cwd=tmp_path, env=_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "--store store: tuner 0.1 wrote this store, which this version does not read" in line
    assert [path.name for path in store.iterdir()] == ["optuna.db"]


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}
