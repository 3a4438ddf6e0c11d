"""Make up the events, result and predictions of a run of a large store."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from pathlib import Path

from trainers.contract import ParameterCounts, RunEvent, RunResult
from tuner.config import Phase

STUDY = "scale"
CURVES = ("train/loss", "validation/loss", "validation/macro_f1")
TEST_ROWS = 1_000
_LABELS = tuple(f"class {number}" for number in range(8))
_PHASES = ("load", "train", "eval")


def make_events(points: int, skill: float) -> Iterator[RunEvent]:
    """Yield a start and the points of the curves, which end near the skill."""
    now = time.time()
    facts = {f"package_{number}": f"{number}.1" for number in range(14)}
    yield RunEvent(kind="start", time=now, facts=facts)
    for step in range(1, points + 1):
        loss = math.exp(-step / points) + 1 - skill
        values = (loss, loss + 0.05, skill * (1 - 0.5**step))
        metrics = dict(zip(CURVES, values, strict=True))
        yield RunEvent(kind="step", time=now + step, step=step, metrics=metrics)


def make_result(skill: float, phase: Phase) -> RunResult:
    """Return a result with that skill as every score."""
    scores = {"loss": 1 - skill, "accuracy": skill, "macro_f1": skill, "micro_f1": skill}
    scores |= {f"f1/{label}": skill for label in _LABELS}
    memory = {f"{part}/peak_bytes": 2**29 + number for number, part in enumerate(_PHASES)}
    digests = {f"data.{split}": split[0] * 64 for split in ("train", "validation", "test")}
    facts = {"device": "cpu", "precision": "fp32", "git_commit": "f00d", "git_dirty": "false"}
    facts |= {"host": "here", "cpu": "a processor", "cpu_count": "2", "threads": "1"}
    facts |= {f"rows.{split}": str(TEST_ROWS) for split in ("train", "validation", "test")}
    facts |= {f"setting_{number}": "on" for number in range(10)} | digests
    return RunResult(
        validation=scores,
        test=scores | {"majority_accuracy": 0.2} if phase == "confirm" else None,
        epoch=3.0,
        parameters=ParameterCounts(total=22_000_000, trained=70_000, head=1_000),
        memory=memory,
        seconds={"load": 0.5, "train": 80.0, "eval": 20.0},
        facts=facts,
    )


def write_predictions(path: Path, task: str, skill: float, draw: random.Random) -> None:
    """Write a row for each test row; the rows and labels of a task are always the same."""
    import numpy
    import pandas

    size = len(_LABELS)
    truth = numpy.random.default_rng(len(task)).integers(size, size=TEST_ROWS)
    dice = numpy.random.default_rng(draw.randrange(2**32))
    wrong = dice.random(TEST_ROWS) > skill
    guess = numpy.where(wrong, dice.integers(size, size=TEST_ROWS), truth)
    probabilities = dice.dirichlet(numpy.ones(size), size=TEST_ROWS)
    frame = pandas.DataFrame(
        {
            "id": [f"{task}-{row}" for row in range(TEST_ROWS)],
            "label": [_LABELS[index] for index in truth],
            "prediction": [_LABELS[index] for index in guess],
            "seen_in_train": numpy.arange(TEST_ROWS) % 50 == 0,
        }
        | {f"probability/{label}": probabilities[:, n] for n, label in enumerate(_LABELS)}
    )
    frame.to_parquet(path, index=False)
