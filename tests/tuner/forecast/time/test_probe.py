"""What a probe reads from a run's events: made ones with known times, and a real run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.specs import toy_study
from tests.tuner.forecast.time.past import cell_of
from trainers.contract import RunEvent
from tuner.forecast.time.probe import measure, probe_cells
from tuner.forecast.time.run_size import measure_task


def event(kind: str, step: int = 0) -> RunEvent:
    """Return an event."""
    return RunEvent.model_validate({"kind": kind, "time": 0.0, "step": step})


def test_steps_and_evaluations_are_told_apart() -> None:
    """Load 3 s; a slow first step; 0.5 s a step; at step 8 an evaluation of 2 s."""
    times = [
        (13.0, event("start")),
        (16.0, event("step", 2)),
        (17.0, event("step", 4)),
        (18.0, event("step", 6)),
        (21.0, event("epoch", 8)),
        (22.0, event("step", 10)),
    ]
    found = measure(10.0, times, None)
    assert found is not None
    assert (found.load, found.step, found.step_error) == pytest.approx((3.0, 0.5, 0.0))
    assert found.evaluation == pytest.approx(2.0)
    assert not found.whole


def test_a_run_without_a_step_measures_nothing() -> None:
    """Only the start was seen, or nothing at all."""
    assert measure(0.0, [(1.0, event("start"))], None) is None
    assert measure(0.0, [], None) is None


def test_one_interval_says_little_of_the_error() -> None:
    """The error is then stated, not zero."""
    found = measure(0.0, [(1.0, event("start")), (2.0, event("step", 4))], None)
    assert found is not None
    assert found.step == pytest.approx(0.25)
    assert found.step_error >= 0.5


@pytest.mark.parametrize(("rows", "seconds", "whole"), [(128, 60.0, True), (8192, 0.2, False)])
def test_a_probe_ends_after_its_time(
    tmp_path: Path, rows: int, seconds: float, whole: bool
) -> None:
    """A short training is done to its end, and its parameters counted; a long one is stopped."""
    config = toy_study(tasks=[{"kind": "toy", "rows": rows}])
    size = measure_task(config.tasks[0], tmp_path, 2022)
    assert size.train == rows
    cell = cell_of(config, "head")
    found = probe_cells([cell], sizes={"toy": size}, data_dir=tmp_path, seconds=seconds)
    measured = found.cells[cell.label]
    assert measured.whole == whole
    assert (measured.trained is not None) == whole
    assert measured.step > 0
    assert (measured.evaluation is not None) == whole
    assert found.start >= 0
