"""What is printed while a study runs."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from tests.specs import toy_study
from trainers.contract import RunEvent
from tuner.cli.live import LiveView
from tuner.config import plan
from tuner.study.progress import RunNotice

_LAST = {"validation/macro_f1": 0.165}
_KEPT = {"validation/macro_f1": 0.443}


def _ended(view: LiveView, **fields: Any) -> None:
    """Have a run of the first cell begin, reach an epoch and end."""
    (cell, *_) = plan(toy_study())
    begun: dict[str, Any] = {"cell": cell, "phase": "search", "trial": 0, "seed": 7, "epochs": 2}
    begun |= {name: fields.pop(name) for name in begun.keys() & fields.keys()}
    begun["values"] = {"train.learning_rate": "0.00047123"}
    view.watch(RunNotice(**begun))
    event = RunEvent(kind="epoch", time=0.0, epoch=2.0, metrics=_LAST)
    view.watch(RunNotice(**begun, event=event))
    view.watch(RunNotice(**begun, **fields))


def _view(printed: io.StringIO, **console: Any) -> LiveView:
    return LiveView(Console(file=printed, **console), plan(toy_study()), workers=1)


@pytest.mark.parametrize(
    ("ended", "shown"),
    [
        ({"state": "finished", "scores": _KEPT}, "macro-F1 44.30  best 44.30  0.0 s"),
        (
            {"state": "finished", "scores": _KEPT, "reused": True},
            "macro-F1 44.30  best 44.30  (found)",
        ),
        (
            {"state": "finished", "scores": _KEPT, "reason": "with fewer rows at once"},
            "macro-F1 44.30  best 44.30  with fewer rows at once  0.0 s",
        ),
        ({"state": "pruned", "reason": "pruned at epoch 1"}, "pruned at epoch 1  0.0 s"),
        ({"state": "failed", "reason": "out of memory"}, "failed: out of memory  0.0 s"),
        ({"state": "failed"}, "failed  0.0 s"),
    ],
)
def test_a_run_ends_with_its_kept_score_or_its_reason(ended: dict[str, Any], shown: str) -> None:
    """In one line with a clock and the chosen value; not with the last epoch's score."""
    printed = io.StringIO()
    _ended(_view(printed, width=40), **ended)
    clock, line = printed.getvalue().split(" ", 1)
    assert len(clock.split(":")) == 3
    assert line == f"full trial 0  lr 0.00047  {shown}\n"


def test_the_best_and_the_mean_so_far_are_in_the_lines() -> None:
    """The best of the arm's trials on validation, the mean of its confirm runs on test."""
    printed = io.StringIO()
    view = _view(printed)
    for trial, score in enumerate((0.3, 0.5, 0.4)):
        _ended(view, trial=trial, state="finished", scores={"validation/macro_f1": score})
    for seed, score in ((1, 0.6), (2, 0.4)):
        scores = {"validation/macro_f1": 0.1, "test/macro_f1": score}
        _ended(view, phase="confirm", trial=1, seed=seed, state="finished", scores=scores)
    lines = printed.getvalue().splitlines()
    assert "macro-F1 40.00  best 50.00" in lines[2]
    assert "full confirm seed 2" in lines[4]
    assert "test macro-F1 40.00  mean 50.00 of 2" in lines[4]
    assert view.summary().startswith("toy-study: 3 trials (0 pruned), 2 confirm runs, 0 failed, ")


def test_a_terminal_breaks_no_line_inside_a_part() -> None:
    """At 79 columns; without a clock."""
    printed = io.StringIO()
    view = _view(printed, width=79, force_terminal=True, color_system=None)
    _ended(view, state="failed", reason="the process ended with code 137: " + "word " * 20)
    lines = printed.getvalue().splitlines()
    assert len(lines) > 1
    assert lines[0].startswith("full trial 0  lr 0.00047  failed:")
    assert max(map(len, lines)) <= 79
    assert all(line.startswith("    ") for line in lines[1:])
