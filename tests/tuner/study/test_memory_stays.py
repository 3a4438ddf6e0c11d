"""A run's memory is its own, whatever ended the runs before it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.specs import toy_spec
from tests.tuner.executors.test_process import run_process
from trainers.contract import RunEvent, StopRun, Workspace
from trainers.errors import OutOfMemory, RunFailed
from tuner.config import read_executor
from tuner.executors import Executor

TASK = {"kind": "toy", "rows": 512}
LARGE = {"batch_size": 512, "attention": "eager", "epochs": 1}


def workspace(folder: Path, number: int) -> Workspace:
    """Return a place whose runs keep the allocator's record."""
    return Workspace(
        data_dir=folder,
        cache_dir=folder / "cache",
        run_dir=folder / f"run-{number}",
        measure="allocator",
    )


def prune(executor: Executor, place: Workspace) -> None:
    """End a run at its first step, as a pruner does."""

    def stop(event: RunEvent) -> None:
        if event.kind == "step":
            raise StopRun("pruned")

    with pytest.raises(StopRun):
        executor.run(toy_spec(task=TASK), stop, place)


def fail(executor: Executor, place: Workspace) -> None:
    """Do a run whose loss is not finite."""
    spec = toy_spec(task=TASK, train={"learning_rate": 1e30, "max_grad_norm": 0.0})
    with pytest.raises(RunFailed, match="train/loss"):
        executor.run(spec, lambda event: None, place)


def run_out_of_memory(executor: Executor, place: Workspace) -> None:
    """Do a run that gets little more memory than its model takes."""

    def limit(event: RunEvent) -> None:
        if event.kind == "start":
            process = psutil.Process(run_process())
            most = process.memory_info().vms + 2**24
            process.rlimit(psutil.RLIMIT_AS, (most, most))

    with pytest.raises(OutOfMemory):
        executor.run(toy_spec(task=TASK, train=LARGE), limit, place)


ACCIDENTS = (prune, fail, run_out_of_memory)


@pytest.mark.parametrize("count", [4, pytest.param(50, marks=pytest.mark.slow)])
def test_a_runs_peak_is_the_first_ones_after_prunes_failures_and_out_of_memory(
    tmp_path: Path, count: int
) -> None:
    """Within 1 %: of the allocator's record, and of the process's resident memory.

    A run before them makes the tokens, which takes 5 MB of its process that no later one needs.
    """
    executor = read_executor("process").open()
    peaks: list[dict[str, int]] = []
    try:
        executor.run(toy_spec(task=TASK), lambda event: None, workspace(tmp_path, -1))
        for number in range(count):
            place = workspace(tmp_path, number)
            if number % 2:
                ACCIDENTS[number // 2 % 3](executor, place)
            else:
                result = executor.run(toy_spec(task=TASK), lambda event: None, place)
                peaks.append(dict(result.memory))
        result = executor.run(toy_spec(task=TASK), lambda event: None, workspace(tmp_path, count))
        peaks.append(dict(result.memory))
    finally:
        executor.close()
    for name in ("train/allocator_bytes", "eval/allocator_bytes"):
        assert {peak[name] for peak in peaks} == {peaks[0][name]}
    for name in ("train/peak_bytes", "baseline_bytes"):
        found = [peak[name] / peaks[0][name] - 1 for peak in peaks]
        assert max(map(abs, found)) < 0.01, found
