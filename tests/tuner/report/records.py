"""Make run records with known numbers."""

from __future__ import annotations

from typing import Any

from trainers.contract import Seeds
from tuner.trackers import Group, RunRecord


def make_record(arm: str, seed: int, **fields: Any) -> RunRecord:
    """Return a finished confirm run.

    Args:
        arm: The arm.
        seed: Init and order seed.
        fields: Any field of RunRecord, and `task`, `cell`, `phase` of its group.
    """
    task = fields.pop("task", "toy")
    cell, phase = fields.pop("cell", "c0ffee"), fields.pop("phase", "confirm")
    group = Group(study="s", task=task, model="tiny", arm=arm, phase=phase, cell=cell)
    values: dict[str, Any] = {
        "run_id": f"{task}-{arm}-{seed}-{cell}",
        "parent_id": arm,
        "group": group,
        "digest": f"{task}-{arm}-{seed}-{cell}",
        "seeds": Seeds(init=seed, order=seed),
        "state": "finished",
        "params": {"metric": "f1/neutral"},
        "metrics": make_metrics(0.5 + seed / 1000),
        "start": 100.0 + seed,
        "end": 200.0,
    }
    return RunRecord(**(values | fields))


def make_metrics(score: float) -> dict[str, float]:
    """Return a run's metrics with a score in all the places that the table reads."""
    return {
        "train/loss": 1.0,
        "test/accuracy": score,
        "test/macro_f1": score / 2,
        "test/f1/neutral": score / 4,
        "validation/macro_f1": 0.9,
        "parameters/trained": 300_000.0,
        "parameters/head": 1_000.0,
        "memory/load/peak_bytes": 9e9,
        "memory/train/peak_bytes": score * 1e9,
        "seconds/load": 1.0,
        "seconds/train": score * 10,
    }
