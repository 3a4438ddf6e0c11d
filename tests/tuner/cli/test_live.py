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


@pytest.mark.parametrize(
    ("ended", "shown"),
    [
        ({"state": "finished", "scores": _KEPT}, "validation/macro_f1 0.443"),
        ({"state": "finished", "scores": _KEPT, "reused": True}, "validation/macro_f1 0.443"),
        (
            {"state": "finished", "scores": _KEPT, "reason": "with fewer rows at once"},
            "validation/macro_f1 0.443, with fewer rows at once",
        ),
        ({"state": "pruned", "reason": "pruned at epoch 1"}, "pruned at epoch 1"),
        ({"state": "failed", "reason": "out of memory"}, "out of memory"),
    ],
)
def test_a_run_ends_with_its_kept_score_or_its_reason(ended: dict[str, Any], shown: str) -> None:
    """Not with the last epoch's, which may not be the one that was kept."""
    (cell, *_) = plan(toy_study())
    printed = io.StringIO()
    view = LiveView(Console(file=printed, width=200), [cell], workers=1)
    begun: dict[str, Any] = {
        "cell": cell,
        "phase": "search",
        "trial": 0,
        "seed": 7,
        "epochs": 2,
    }
    event = RunEvent(kind="epoch", time=0.0, epoch=2.0, metrics=_LAST)
    view.watch(RunNotice(**begun))
    view.watch(RunNotice(**begun, event=event))
    view.watch(RunNotice(**begun, **ended))
    assert printed.getvalue().strip().endswith(f"  {shown}")
