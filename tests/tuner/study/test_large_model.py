"""The shipped study of a large model, as its tiny twin: on two ranks, to the comparison."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tuner.config import load_study
from tuner.report import build_report
from tuner.study.run import run_study


@pytest.mark.slow
@pytest.mark.deepspeed
@pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs the extra `deepspeed`")
def test_the_tiny_twin_of_the_large_study_ends_in_a_table(tmp_path: Path) -> None:
    """Full under ZeRO-3 and LoRA under ZeRO-2: no run fails, every arm has its row."""
    large, twin = load_study("llama-3b-zero3"), load_study("llama-tiny-zero3")
    assert {n: a.deepspeed for n, a in large.arms.items()} == {
        n: a.deepspeed for n, a in twin.arms.items()
    }
    outcome = run_study(twin, store=tmp_path)
    assert (outcome.failures, outcome.unfinished) == ((), ())
    report = build_report("llama-tiny-zero3", store=tmp_path)
    assert set(report.cells["arm"]) == {"full", "lora"}
    assert set(report.cells["n"]) == {2}
