"""Make records of past runs with known seconds and scores."""

from __future__ import annotations

from typing import Any

from trainers.contract import Seeds
from tuner.config import Cell, StudyConfig, plan
from tuner.store.records import Group, RunRecord


def cell_of(config: StudyConfig, arm: str) -> Cell:
    """Return the cell of an arm, its data not read."""
    return next(cell for cell in plan(config) if cell.arm == arm)


def past_run(cell: Cell, seed: int, *, trial: int | None = None, **fields: Any) -> RunRecord:
    """Return a finished run of a cell: a confirm run, or a search run if it has a trial.

    Args:
        cell: Where it belongs.
        seed: Init and order seed.
        trial: Number of its search trial.
        fields: Any field of RunRecord.
    """
    phase = "confirm" if trial is None else "search"
    group = Group(
        study=cell.study.name,
        task=cell.task,
        model=cell.model,
        arm=cell.arm,
        phase=phase,
        trial=trial,
        cell=cell.fingerprint(),
    )
    values: dict[str, Any] = {
        "run_id": f"{cell.label}-{phase}-{trial}-{seed}",
        "parent_id": "parent",
        "group": group,
        "digest": f"{cell.label}-{trial}-{seed}",
        "seeds": Seeds(init=seed, order=seed),
        "state": "finished",
        "params": {"train.epochs": "2"},
        "metrics": {"seconds/load": 1.0, "seconds/train": 10.0, "seconds/eval": 4.0},
        "facts": {"rows.train": "100", "rows.validation": "50", "rows.test": "100"},
        "start": 100.0 + seed,
        "end": 120.0 + seed,
    }
    return RunRecord(**(values | fields))
