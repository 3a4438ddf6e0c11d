"""The report's numbers equal numpy's, and its bytes depend on the records alone."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.tuner.report.records import make_metrics, make_record
from tuner.report import build_report
from tuner.trackers import RunRecord

SCORES = {"full": [0.81, 0.84, 0.83], "lora": [0.79, 0.8, 0.86]}


@pytest.fixture
def records() -> list[RunRecord]:
    """Return two arms on three shared seeds, and runs that are not compared."""
    compared = [
        make_record(arm, seed, metrics=make_metrics(score))
        for arm, scores in SCORES.items()
        for seed, score in enumerate(scores)
    ]
    search = make_record("full", 50, phase="search", metrics=make_metrics(0.99))
    return [*compared, search]


def test_means_and_deviations_equal_numpys(records: list[RunRecord]) -> None:
    """Each score's mean and sample standard deviation, memory's peak, seconds' mean."""
    cells = build_report(records, metric="f1/neutral").cells.set_index("arm")
    for arm, scores in SCORES.items():
        row = cells.loc[arm]
        for name, share in (("accuracy", 1), ("macro_f1", 2), ("f1/neutral", 4)):
            values = np.array(scores) / share
            assert row[f"{name}_mean"] == pytest.approx(values.mean(), abs=1e-12)
            assert row[f"{name}_std"] == pytest.approx(values.std(ddof=1), abs=1e-12)
        assert row["n"] == 3
        assert row["seconds"] == pytest.approx(np.mean(1 + 10 * np.array(scores)))
        assert row["peak_memory_bytes"] == int(max(scores) * 1e9)
        assert (row["trained_parameters"], row["head_parameters"]) == (300_000, 1_000)


def test_the_bytes_do_not_depend_on_the_order_of_records(
    records: list[RunRecord], tmp_path: Path
) -> None:
    """Shuffled records give equal files."""
    written = set()
    for seed in range(5):
        shuffled = random.Random(seed).sample(records, len(records))
        paths = build_report(shuffled).write(tmp_path / str(seed))
        assert [path.name for path in paths] == ["report.md", "cells.csv", "runs.csv"]
        written.add(tuple(path.read_bytes() for path in paths))
    assert len(written) == 1


def test_the_markdown_has_units_and_says_what_three_seeds_cannot_tell(
    records: list[RunRecord],
) -> None:
    """Points, M, MiB; and the floor of the sign-flip test in words."""
    text = build_report(records, metric="macro_f1").markdown()
    assert "| arm | n | accuracy | macro-F1 | trained parameters | peak memory | seconds |" in text
    assert "| full | 3 | 82.67 ± 1.53 | 41.33 ± 0.76 | 0.30 M | 801 MiB | 9.3 |" in text
    assert "cannot go below p = 2/2^3 = 0.25: at the 5% level the differences" in text
    assert "differences are not separable with 3 seeds." in text


def test_csv_columns_are_stable_and_raw(records: list[RunRecord], tmp_path: Path) -> None:
    """The columns are named in the documented order, and floats come back bit-equal."""
    build_report(records, metric="accuracy").write(tmp_path)
    cells = pd.read_csv(tmp_path / "cells.csv")
    assert list(cells.columns) == [
        *("task", "model", "arm", "n", "accuracy_mean", "accuracy_std"),
        *("macro_f1_mean", "macro_f1_std", "trained_parameters", "head_parameters"),
        *("peak_memory_bytes", "seconds", "failed_runs", "left_out_runs"),
    ]
    runs = pd.read_csv(tmp_path / "runs.csv")
    assert list(runs[runs["arm"] == "lora"]["test/accuracy"]) == SCORES["lora"]
    assert "train/loss" not in runs.columns


def test_the_smallest_p_is_that_of_all_sign_flips() -> None:
    """2/2^n, against a full enumeration of the test at its most extreme data."""
    for count in (2, 5, 6):
        differences = np.arange(1.0, count + 1)
        flips = np.array(list(itertools.product((-1, 1), repeat=count)))
        sums = np.abs(flips @ differences)
        p = float((sums >= abs(differences.sum())).mean())
        both = [make_record(arm, seed) for arm in ("a", "b") for seed in range(count)]
        (note, _) = build_report(both).notes()
        assert f"p = 2/2^{count} = {p:.4g}:" in note
        assert ("not separable" in note) == (p > 0.05)


def test_pairs_with_different_numbers_of_shared_seeds_are_named() -> None:
    """Where a seed is missing in one arm, its pairs have a floor of their own."""
    counts = {"a": 3, "b": 3, "c": 2}
    records = [make_record(arm, seed) for arm, n in counts.items() for seed in range(n)]
    two, three, _ = build_report(records).notes()
    assert "With 2 shared seeds" in two
    assert "(a and c; b and c)" in two
    assert "With 3 shared seeds" in three
    assert "(a and b)" in three


def test_arms_without_a_shared_seed_are_said_to_have_nothing_to_pair() -> None:
    """No p is made up for them."""
    notes = build_report([make_record("a", 1), make_record("b", 2)]).notes()
    assert notes[0] == "No seed is shared, so there is nothing to pair."


def test_only_the_latest_definition_of_a_cell_is_compared() -> None:
    """Runs of an older definition are left out, counted and noted."""
    old = [make_record("lora", seed, cell="01d", start=1.0) for seed in range(2)]
    new = [make_record("lora", seed, cell="new", start=2.0) for seed in range(3)]
    report = build_report([*new, *old])
    assert list(report.cells["n"]) == [3]
    assert list(report.cells["left_out_runs"]) == [2]
    assert "lora: 2 older runs of another definition of the arm left out." in report.notes()


def test_failed_runs_are_counted_and_retried_ones_are_not() -> None:
    """A seed that failed and then finished is a finished run; a digest counts once."""
    failed = {"state": "failed", "reason": "exit code 1", "metrics": {}}
    records = [
        make_record("lora", 1, run_id="first", **failed),
        make_record("lora", 1, run_id="second"),
        make_record("lora", 1, run_id="third", start=500.0),
        make_record("lora", 2, **failed),
        make_record("lora", 3, state="killed", metrics={}),
    ]
    report = build_report(records)
    assert list(report.cells["n"]) == [1]
    assert list(report.cells["failed_runs"]) == [1]
    assert list(report.runs["run_id"]) == ["third", "toy-lora-2-c0ffee"]
    assert "lora: 1 run failed." in report.notes()


def test_one_run_has_no_deviation_and_none_no_mean() -> None:
    """Cells that lack numbers are shown empty, never as zero."""
    failed = make_record("full", 1, state="failed", metrics={})
    rows = build_report([failed, make_record("lora", 1, metrics=make_metrics(0.5))]).rows()
    assert rows[1] == ["full", "0", "-", "-", "-", "-", "-", "-"]
    assert rows[2] == ["lora", "1", "50.00", "25.00", "12.50", "0.30 M", "477 MiB", "6.0"]


def test_several_tasks_have_a_table_each_and_a_column_in_the_rows() -> None:
    """Arms are compared within a task and model."""
    records = [make_record(a, 1, task=t) for a in ("full", "lora") for t in ("bbc", "toy")]
    report = build_report(records)
    assert report.markdown().count("## ") == 2
    assert [row[:2] for row in report.rows()] == [
        ["task", "arm"],
        ["bbc", "full"],
        ["bbc", "lora"],
        ["toy", "full"],
        ["toy", "lora"],
    ]


def test_a_study_without_runs_has_an_empty_report(tmp_path: Path) -> None:
    """It says so, and its files have their headers."""
    report = build_report([])
    assert report.markdown() == "No confirm run has finished or failed yet.\n"
    assert len(report.rows()) == 1
    report.write(tmp_path)
    assert (tmp_path / "cells.csv").read_text().startswith("task,model,arm,n,accuracy_mean,")


def test_names_cannot_break_the_markdown() -> None:
    """A pipe, a line break or a tag in an arm's name stays in its cell."""
    text = build_report([make_record("a|b\n<script>", 1)]).markdown()
    assert "| a\\|b &lt;script&gt; | 1 |" in text


def test_importing_the_door_does_not_import_pandas() -> None:
    """`tuner --help` stays quick."""
    code = "import sys, tuner.report; print([m for m in ('pandas', 'mlflow') if m in sys.modules])"
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
