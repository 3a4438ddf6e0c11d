"""Count runs that have ended in a store's folder and are not in MLflow yet."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

from pydantic import ValidationError

from tuner.store.outcome import read_outcome
from tuner.tracking import waiting_digests


def count_unentered(
    store: Path,
    entered: Collection[tuple[str, str]],
    cells: Collection[str],
    told: Collection[tuple[str, int]],
) -> int:
    """Count the runs of cells that a launcher ended and could not enter, as on a full disk.

    A run whose trial the search knows as ended is only counted where its writes wait: else
    somebody has deleted it in MLflow, and nobody enters it again.

    Args:
        store: The store's folder; none has nothing to count.
        entered: Fingerprint of the cell and digest of each run whose end is in MLflow.
        cells: Fingerprints of the cells.
        told: Fingerprint of the cell and number of each trial that the search knows as ended.
    """
    waiting = waiting_digests(store / "outbox")
    known = {digest for _, digest in entered}
    count = 0
    for folder in (store / "runs").glob("*"):
        digest = folder.name.partition(".")[0]  # what was put aside is of other data
        owner = _owner(folder) if digest not in known else None
        if owner is None or owner[0] not in cells:
            continue
        cell, phase, trial = owner
        is_told = phase == "search" and (cell, int(trial)) in told
        count += folder.name in waiting or not is_told
    return count


def _owner(folder: Path) -> tuple[str, str, str] | None:
    """Return the cell's fingerprint, the phase and the trial that a run was ended for."""
    outcome = None
    with contextlib.suppress(OSError, ValidationError):
        outcome = read_outcome(folder)
    if outcome is None or outcome.state == "failed":
        return None
    parts = outcome.owner.rsplit(" ", 3)
    return (parts[1], parts[2], parts[3]) if len(parts) == 4 else None
