"""Bytes foretold against bytes found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.specs import toy_study
from tuner.forecast.time import EstimateOptions, estimate_study
from tuner.forecast.time.forecasts import DiskForecast


def estimate_disk(store: Path, **changes: object) -> DiskForecast:
    """Estimate the toy study without a probe."""
    options = EstimateOptions(probe=False)
    data_dir = store.parent / "data"
    config = toy_study(**changes)
    return estimate_study(config, store=store, data_dir=data_dir, options=options).disk


def held(folder: Path, pattern: str) -> int:
    """Sum the bytes of files."""
    return sum(path.stat().st_size for path in folder.glob(pattern) if path.is_file())


def test_the_bytes_of_a_store_are_foretold_within_a_factor_of_two(
    tmp_path: Path, finished_store: Path
) -> None:
    """Before the study, from its rows and steps alone; against what it then left."""
    found = estimate_disk(tmp_path / "store")
    assert not found.measured
    for foretold, pattern in (
        (found.run_folders_bytes, "runs/*/*"),
        (found.databases_bytes, "*.db"),
        (found.cache_bytes, "cache/**/*"),
    ):
        assert 0.5 < foretold / held(finished_store, pattern) < 2, pattern
    parts = (found.run_folders_bytes, found.artifacts_bytes, found.databases_bytes)
    assert found.total_bytes == sum(parts) + found.cache_bytes


def test_files_of_earlier_runs_are_measured(finished_store: Path) -> None:
    """Two more confirm runs take what the four that are there take; the tokens are there."""
    found = estimate_disk(finished_store, confirm={"seeds": [1, 2, 3]})
    folders = [path.parent for path in finished_store.glob("runs/*/predictions.parquet")]
    assert len(folders) == 4
    assert found.measured
    assert found.run_folders_bytes == pytest.approx(
        sum(held(folder, "*") for folder in folders) / 2, abs=1
    )
    assert found.cache_bytes == 0


def test_kept_models_count_with_their_trained_parameters(
    tmp_path: Path, finished_store: Path
) -> None:
    """In float32, once; unknown before a run has told their size."""
    assert estimate_disk(tmp_path / "store", save="best").models_bytes is None
    assert estimate_disk(tmp_path / "store", save="none").models_bytes == 0
    arms = {"head": {"method": "head"}}
    best = estimate_disk(finished_store, save="best", arms=arms).models_bytes
    every = estimate_disk(finished_store, save="confirm", arms=arms).models_bytes
    assert best is not None
    assert best > 0
    assert every == 2 * best
