"""Summaries over runs equal an independent computation."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tuner.tracking.aggregate import aggregate, shown


def test_the_summary_equals_numpys() -> None:
    """Mean and sample deviation under the name that the runs have, and their number."""
    values = [0.81, 0.79, 0.84, 0.9, 0.77]
    found = aggregate([{"test/accuracy": value} for value in values], "macro_f1")
    expected = {"test/accuracy": np.mean(values), "test/accuracy_std": np.std(values, ddof=1)}
    assert found == pytest.approx({**expected, "n": 5})


def test_one_value_has_no_spread() -> None:
    """At n = 1 there is a mean and nothing about noise; no rows give nothing."""
    assert aggregate([{"test/loss": 2.0}], "macro_f1") == {"test/loss": 2.0, "n": 1.0}
    assert aggregate([], "macro_f1") == {}


def test_a_run_without_a_metric_is_no_zero() -> None:
    """The mean is over those that have it."""
    rows = [{"test/loss": 1.0, "seconds/train": 4.0}, {"test/loss": 3.0}]
    found = aggregate(rows, "macro_f1")
    assert (found["test/loss"], found["seconds/train"], found["n"]) == (2.0, 4.0, 2.0)
    assert "seconds/train_std" not in found


def test_the_order_of_runs_does_not_matter() -> None:
    """Shuffled rows give bit-equal sums, so a resumed study's parent is not logged again."""
    rows = [{"test/loss": random.Random(seed).random() * 10**seed} for seed in range(12)]
    expected = aggregate(rows, "loss")
    for seed in range(5):
        assert aggregate(random.Random(seed).sample(rows, len(rows)), "loss") == expected


def test_a_parent_has_about_twenty_metrics_and_a_run_about_thirty() -> None:
    """Of a run on three classes: scores by class, ranks and details of memory stay aside."""
    classes = [f"f1/{name}" for name in ("a", "b", "c")]
    scores = ["accuracy", "macro_f1", "micro_f1", "loss", *classes]
    memory = [
        *("baseline_bytes", "load/peak_bytes", "train/peak_bytes", "eval/peak_bytes"),
        *(f"measured/{phase}_peak_bytes" for phase in ("load", "train", "eval")),
        *(f"predicted/{phase}_peak_bytes" for phase in ("load", "train", "eval")),
        *("predicted/error", "predicted/load_error", "predicted/eval_error"),
        *("predicted/framework_bytes", "rank0/train/peak_bytes", "rank1/train/peak_bytes"),
    ]
    counts = ("total", "trained", "head", "adapter")
    names = [
        *(f"{split}/{score}" for split in ("test", "validation") for score in scores),
        *(f"memory/{name}" for name in memory),
        *(f"seconds/{phase}" for phase in ("load", "train", "eval")),
        *(f"parameters/{count}" for count in counts),
        *("test/majority_accuracy", "epoch"),
    ]
    run = dict.fromkeys(names, 1.0)
    assert len(aggregate([run, run], "macro_f1")) == 18
    assert len(aggregate([run, run], "f1/a")) == 22
    assert 28 <= len(shown(run)) <= 32
    assert "memory/train/peak_bytes" in shown(run)
