"""Make run records with known numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainers.contract import Seeds
from tuner.report import Confusion, Evidence, Question, Report, report_on
from tuner.store import Group, RunRecord

FACTS = {
    "git_commit": "0123456789abcdef",
    "git_dirty": "false",
    "torch": "2.13.0",
    "precision": "fp32",
    "cpu": "a CPU",
    "threads": "2",
    "data.train": "a" * 64,
    "data.test": "b" * 64,
    "rows.test": "200",
    "rows.test_seen_in_train": "0",
}


def make_record(arm: str, seed: int, **fields: Any) -> RunRecord:
    """Return a finished confirm run, or a search run if it has a trial.

    Args:
        arm: The arm.
        seed: Init and order seed.
        fields: Any field of RunRecord; `task`, `model`, `cell`, `study`, `trial` of its group;
            `order` and `data` seeds; `facts` are added to the usual ones.
    """
    task, model = fields.pop("task", "toy"), fields.pop("model", "tiny")
    study, trial = fields.pop("study", "s"), fields.pop("trial", None)
    cell, phase = fields.pop("cell", "c0ffee"), "confirm" if trial is None else "search"
    seeds = Seeds(init=seed, order=fields.pop("order", seed), data=fields.pop("data", 2022))
    group = Group(
        study=study, task=task, model=model, arm=arm, phase=phase, trial=trial, cell=cell
    )
    numbers = f"{trial}-{seeds.init}/{seeds.order}/{seeds.data}"
    identity = "_".join(f"{study} {task} {model} {arm} {phase} {numbers} {cell}".split())
    values: dict[str, Any] = {
        "run_id": identity,
        "parent_id": f"parent-of-{arm}-{phase}-{trial}",
        "group": group,
        "digest": identity,
        "seeds": seeds,
        "state": "finished",
        "params": {"metric": "macro_f1", "method.kind": arm, "read_test": str(trial is None)},
        "metrics": make_metrics(0.5 + seed / 1000),
        "start": 100.0 + seed,
        "end": 200.0,
    }
    return RunRecord(**(values | fields | {"facts": FACTS | fields.get("facts", {})}))


def make_trial(arm: str, number: int, score: float, **fields: Any) -> RunRecord:
    """Return a finished search run that took 10 seconds and reached `score` on validation."""
    metrics = {"validation/macro_f1": score, "seconds/train": 10.0}
    return make_record(arm, 7, **({"trial": number, "metrics": metrics} | fields))


def make_metrics(score: float) -> dict[str, float]:
    """Return a run's metrics with a score in all the places that the tables read."""
    return {
        "train/loss": 1.0,
        "test/accuracy": score,
        "test/macro_f1": score / 2,
        "test/f1/neutral": score / 4,
        "test/majority_accuracy": 0.4,
        "validation/macro_f1": 0.9,
        "parameters/trained": 300_000.0,
        "parameters/adapter": 299_000.0,
        "parameters/head": 1_000.0,
        "memory/load/peak_bytes": 9e9,
        "memory/train/peak_bytes": score * 1e9,
        "memory/eval/peak_bytes": 2e9,
        "seconds/load": 1.0,
        "seconds/train": score * 10,
    }


def make_runs(scores: dict[str, Sequence[float]], **fields: Any) -> list[RunRecord]:
    """Return a confirm run for each score of each arm; seeds count from 0."""
    return [
        make_record(arm, seed, metrics=make_metrics(score), **fields)
        for arm, values in scores.items()
        for seed, score in enumerate(values)
    ]


def confusion_of(counts: np.ndarray) -> Confusion:
    """Return the predictions of a run that has these counts, of shape (2, 2), no row seen."""
    axes = np.indices(counts.shape).reshape(2, -1)
    truth, guess = (axis.repeat(counts.ravel()) for axis in axes)
    seen = np.zeros(len(truth), dtype=bool)
    return Confusion(("no", "yes"), counts, counts, truth, guess, seen)


def arm_rows(report: Report) -> list[list[str]]:
    """Return the arms as a terminal shows them: task, arm, n, score and the other columns."""
    return [
        [str(view.task), *(cell.text for cell in row.cells)]
        for view in report.views("narrow")
        if view.section == "arms"
        for row in view.rows
    ]


def report_of(
    records: Sequence[RunRecord], *, metric: str = "macro_f1", **question: Any
) -> Report:
    """Compare records, without curves and predictions."""
    evidence = Evidence(studies=("s",), records=tuple(records), metric=metric)
    return report_on(evidence, Question(**question))
