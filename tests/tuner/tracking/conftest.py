"""Stores for tracker tests: MLflow's database is migrated once and copied."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tuner.tracking.projections import Desk, desk


@pytest.fixture
def store(migrated_store: Path, tmp_path: Path) -> Path:
    """Return an empty store, in a folder whose name needs quoting."""
    folder = tmp_path / "a störe #1"
    folder.mkdir()
    shutil.copy(migrated_store / "mlflow.db", folder / "mlflow.db")
    return folder


@pytest.fixture
def table(store: Path) -> Iterator[Desk]:
    """Return the store's journal, open to be filled and projected."""
    with desk(store) as opened:
        yield opened
