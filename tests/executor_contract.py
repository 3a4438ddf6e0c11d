"""What every executor must do, tried with real trainings of the tiny model."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.specs import toy_spec, workspace
from trainers.contract import RunEvent, StopRun
from trainers.errors import CannotBuild, Diverged, RunFailed
from tuner.config import read_executor
from tuner.executors import Executor


class ExecutorContract:
    """Subclass it in a test module and give the fixture `executor`."""

    @pytest.fixture
    def executor(self) -> Executor:
        """Make the executor under test."""
        raise NotImplementedError

    def test_a_run_brings_its_events_in_order_and_its_result(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """Start first, epochs counted up, and the result agrees with the last epoch kept."""
        events: list[RunEvent] = []
        result = executor.run(toy_spec(), events.append, workspace(tmp_path))
        assert events[0].kind == "start"
        epochs = [event for event in events if event.kind == "epoch"]
        assert [event.epoch for event in epochs] == [1.0, 2.0]
        scores = {event.epoch: event.metrics["validation/macro_f1"] for event in epochs}
        assert result.validation["macro_f1"] == scores[result.epoch] == max(scores.values())

    def test_numbers_equal_those_of_every_other_executor(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """Losses and scores are the same floats as in the launcher, and the same once more."""
        here = _numbers(read_executor("inprocess").open(), tmp_path / "here")
        first, second = (_numbers(executor, tmp_path / name) for name in ("one", "two"))
        assert here == first == second
        assert len(here) > 8

    def test_stopping_in_the_sink_ends_the_run(self, executor: Executor, tmp_path: Path) -> None:
        """StopRun comes out of `run`, and no event comes after it."""
        seen: list[RunEvent] = []

        def sink(event: RunEvent) -> None:
            seen.append(event)
            if event.kind == "epoch":
                raise StopRun("enough")

        with pytest.raises(StopRun, match="enough"):
            executor.run(toy_spec(), sink, workspace(tmp_path))
        assert [event.epoch for event in seen if event.kind == "epoch"] == [1.0]

    def test_a_user_error_in_a_run_is_a_failed_run_with_its_reason(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """A data file that is gone: the reason is the error's own line."""
        spec = toy_spec(task="restaurant_sup")
        with pytest.raises(RunFailed, match="no such file"):
            executor.run(spec, lambda event: None, workspace(tmp_path))

    def test_a_diverging_run_is_told_from_a_broken_one(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """A loss that is not a number ends the run and says at which step."""
        spec = toy_spec(train={"learning_rate": 1e30, "max_grad_norm": 0.0})
        with pytest.raises(Diverged, match=r"^train/loss is .* at step"):
            executor.run(spec, lambda event: None, workspace(tmp_path))

    def test_a_model_that_cannot_be_built_is_told_from_an_accident(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """The reason comes back as it was said, and that any other run would have it too."""
        spec = toy_spec(method={"kind": "lora", "targets": ["no_such_module"]})
        with pytest.raises(CannotBuild, match=r"^method.*no_such_module"):
            executor.run(spec, lambda event: None, workspace(tmp_path))

    def test_runs_after_a_stopped_one_are_as_before(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """Nothing of a stopped run leaks into the next."""
        before = _numbers(executor, tmp_path / "before")

        def stop(event: RunEvent) -> None:
            if event.kind == "step":
                raise StopRun("at once")

        with pytest.raises(StopRun):
            executor.run(
                toy_spec(train={"weight_decay": 0.9}), stop, workspace(tmp_path / "stopped")
            )
        assert _numbers(executor, tmp_path / "after") == before
        assert threading.active_count() < 20

    def test_what_is_computed_comes_back_and_what_fails_says_why(self, executor: Executor) -> None:
        """A function of its arguments, wherever it is called."""
        assert executor.compute(divmod, 7, 2) == (3, 1)
        with pytest.raises(RunFailed, match="ZeroDivisionError"):
            executor.compute(divmod, 7, 0)


def _numbers(executor: Executor, folder: Path) -> list[float]:
    """Return every loss and score of a run."""
    events: list[RunEvent] = []
    result = executor.run(toy_spec(), events.append, workspace(folder))
    curve = [value for event in events for _, value in sorted(event.metrics.items())]
    return curve + [value for _, value in sorted(result.validation.items())]
