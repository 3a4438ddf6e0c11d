"""The table in the terminal fits it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.tuner.report.comparisons import make_comparison, with_frames
from tests.tuner.report.records import make_metrics, make_record, report_of
from tuner.report import Report

SCORE = "52.43 ± 10.21"
ARM = "lora-r16-alpha32-all-linear-modules-and-the-head"
MODEL = "microsoft/MiniLM-L12-H384-uncased"
DISPENSABLE = {
    "trained parameters": "trained",
    "accuracy": "accuracy",
    "seconds": "s/run",
    "peak memory": "memory",
}
"""Columns that may be left out, in this order, and what they are called in the table."""


def made(*, models: tuple[str, ...] = (MODEL,), arms: tuple[str, ...] = ("lora",)) -> Report:
    """Return arms of two runs each, with scores of unseen rows."""
    return report_of(
        [
            make_record(
                arm,
                seed,
                model=model,
                metrics=make_metrics(0.5)
                | {"test/macro_f1": score, "test/unseen/macro_f1": score},
            )
            for model in models
            for arm in arms
            for seed, score in enumerate((0.4521, 0.5965))
        ]
    )


@pytest.mark.parametrize(("width", "least"), [(140, 0), (80, 0), (58, 1), (40, 3)])
def test_no_number_or_word_of_the_table_wraps(width: int, least: int) -> None:
    """Columns that matter less are left out for it, one after the other, and named."""
    text = made().text("terminal", width=width)
    table, _, rest = text.partition("In `tuner report` too: ")
    named = " ".join(rest.partition(".")[0].split())
    gone = tuple(named.split(", ")) if named else ()
    assert gone == tuple(DISPENSABLE)[: len(gone)]
    assert len(gone) >= least
    assert bool(gone) == bool(least)
    assert SCORE in table
    left = (short for name, short in DISPENSABLE.items() if name not in gone)
    kept = ("arm", "n", "macro-F1", "unseen rows", *left)
    assert all(word in table.split() for title in kept for word in title.split())


@pytest.mark.parametrize("width", [80, 100])
def test_long_names_wrap_and_hide_no_column(width: int) -> None:
    """Several models, arms with long names: each number stands beside its row's name."""
    text = made(models=(MODEL, "tiny"), arms=("lora", ARM)).text("terminal", width=width)
    lines = [line for line in text.splitlines() if SCORE in line]
    assert len(lines) == 4
    assert max(map(len, text.splitlines())) <= width
    assert {"model", "arm", "n"} <= set(text.partition(SCORE)[0].split())
    assert lines[0].strip().startswith(MODEL[:10])


def test_the_end_of_a_study_fits_79_columns_and_says_what_its_marks_mean() -> None:
    """A table with the chosen values, the answer, then lists whose further lines are indented."""
    whole = make_comparison()
    pairs = whole.frames["pairs"]
    mirrored = pairs[pairs["arm_b"] == "lora"]
    report = Report(replace(with_frames(whole, pairs=mirrored), baseline="lora"))
    text = report.text("terminal", width=79)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 79
    assert not any(line != line.rstrip() for line in lines)
    assert "full *" in text
    legend = " ".join(text.split())
    assert "* best mean; behind: seeds on which lora is better" in legend
    wide = report.text("terminal", width=110)
    assert "0.0016^" in wide
    assert "; ^ near its range's end" in " ".join(wide.split())
    (first,) = [n for n, line in enumerate(lines) if line.startswith(" ! Not a fair comparison")]
    assert lines[first - 1] == ""
    marks = (" ! ", " - ", "   ")
    assert all(line.startswith(marks) for line in lines[first:] if line.startswith(" "))
    assert report.answer.sentences[0] in " ".join(text.split())
    assert not any(line.rpartition("[")[2].endswith(",") for line in lines if "[" in line)
