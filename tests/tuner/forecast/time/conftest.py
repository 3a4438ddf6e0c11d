"""A store with a finished study, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.specs import toy_study
from tuner.study.run import run_study


@pytest.fixture(scope="session")
def finished_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the store of the toy study, run to its end; no test may change it."""
    folder = tmp_path_factory.mktemp("finished") / "store"
    run_study(toy_study(), store=folder, data_dir=folder.parent / "data")
    return folder
