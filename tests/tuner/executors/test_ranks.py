"""Runs of two ranks: equal to one process, and ended whole however they end."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.launchers import ranks_of
from tests.specs import toy_spec, workspace
from trainers.contract import RunEvent, RunSpec, StopRun
from trainers.errors import RunFailed
from tuner.config import ds_configs, read_executor
from tuner.executors import Executor
from tuner.store.database import RunInterrupted

SMOOTH = {"kind": "tiny", "name": "tiny-smooth", "dropout": 0.0}
"""A model without dropout, whose masks would differ from rank to rank."""
LONG = {"epochs": 300, "batch_size": 16}
SECONDS = 10


@pytest.fixture
def executor() -> Iterator[Executor]:
    """Make one; afterwards no run's process is left, and no port of theirs."""
    executor = read_executor("process").open()
    yield executor
    executor.close()
    assert ranks_of() == []


def _spec(**changes: Any) -> RunSpec:
    return toy_spec(**{"model": SMOOTH, "ranks": 2} | changes)


def _listening(connections: Iterable[Any]) -> set[int]:
    return {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}


class Ending:
    """Runs two ranks until the first loss, then calls `act` with their processes."""

    def __init__(
        self, executor: Executor, folder: Path, act: Callable[[list[psutil.Process]], None]
    ) -> None:
        self.ports: set[int] = set()
        self.raised: BaseException | None = None
        self.processes: list[psutil.Process] = []
        self._act = act
        self._begun = 0.0
        try:
            executor.run(_spec(train=LONG), self._watch, workspace(folder))
        except BaseException as error:
            self.raised = error
        self.seconds = time.monotonic() - self._begun

    def _watch(self, event: RunEvent) -> None:
        if event.kind != "step" or self.processes:
            return
        self.processes = ranks_of()
        assert len(self.processes) == 2
        self.ports = {
            port for p in self.processes for port in _listening(p.net_connections("tcp"))
        }
        assert self.ports
        self._begun = time.monotonic()
        self._act(self.processes)

    def check(self) -> None:
        """Assert that all ranks ended in time, and that their ports are free."""
        assert self.seconds < SECONDS
        assert not [p for p in self.processes if p.is_running()]
        assert self.ports.isdisjoint(_listening(psutil.net_connections("tcp")))


def test_two_ranks_equal_one_process_of_the_same_global_batch(
    executor: Executor, tmp_path: Path
) -> None:
    """Losses, validation and test scores, where rows fill no batch and are accumulated too."""
    alone, together = (
        _Done(executor, tmp_path / str(ranks), ranks=ranks, batch_size=30 // ranks)
        for ranks in (1, 2)
    )
    assert together.curve("train/loss") == pytest.approx(alone.curve("train/loss"), abs=1e-4)
    assert len(alone.curve("train/loss")) > 6
    for name in ("loss", "macro_f1"):
        curves = (run.curve(f"validation/{name}") for run in (together, alone))
        assert next(curves) == pytest.approx(next(curves), abs=1e-4)
    assert together.result.test == pytest.approx(alone.result.test, abs=1e-4)


class _Done:
    def __init__(self, executor: Executor, folder: Path, *, ranks: int, batch_size: int) -> None:
        self.events: list[RunEvent] = []
        settings = {"batch_size": batch_size, "gradient_accumulation": 2, "epochs": 3}
        settings["eval_batch_size"] = 24
        spec = _spec(ranks=ranks, read_test=True, train=settings)
        self.result = executor.run(spec, self.events.append, workspace(folder))

    def curve(self, name: str) -> list[float]:
        return [event.metrics[name] for event in self.events if name in event.metrics]


def test_only_rank_0_is_heard_and_the_memory_of_every_rank_is_known(
    executor: Executor, tmp_path: Path
) -> None:
    """One start, one event an epoch; peaks by rank, and the largest without a rank."""
    run = _Done(executor, tmp_path, ranks=2, batch_size=16)
    kinds = [event.kind for event in run.events]
    assert (kinds.count("start"), kinds.count("epoch")) == (1, 3)
    memory = run.result.memory
    peaks = [memory[f"rank{rank}/train/peak_bytes"] for rank in (0, 1)]
    assert memory["train/peak_bytes"] == max(peaks)
    assert min(peaks) > 50 * 1024**2


def test_early_stopping_ends_both_ranks(executor: Executor, tmp_path: Path) -> None:
    """With a rate that learns nothing, patience ends the run after two epochs."""
    settings = {**LONG, "learning_rate": 1e-12, "early_stopping": 1}
    events: list[RunEvent] = []
    result = executor.run(_spec(train=settings), events.append, workspace(tmp_path))
    assert result.epoch == 1.0
    assert [event.epoch for event in events if event.kind == "epoch"] == [1.0, 2.0]


def test_pruning_ends_both_ranks(executor: Executor, tmp_path: Path) -> None:
    """StopRun comes out with its reason."""

    def stop(ranks: list[psutil.Process]) -> None:
        raise StopRun("pruned at step 1")

    ending = Ending(executor, tmp_path, stop)
    ending.check()
    assert isinstance(ending.raised, StopRun)
    assert str(ending.raised) == "pruned at step 1"


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_ends_the_other_and_is_named(
    executor: Executor, tmp_path: Path, rank: int
) -> None:
    """The reason is the signal, not the connection that the other rank lost over it."""
    ending = Ending(executor, tmp_path, lambda ranks: ranks[rank].send_signal(signal.SIGKILL))
    ending.check()
    assert isinstance(ending.raised, RunFailed)
    assert f"rank {rank} was ended by SIGKILL" in ending.raised.reason


def test_an_exception_on_one_rank_is_the_reason(executor: Executor, tmp_path: Path) -> None:
    """An interrupt in rank 1 alone, as an exception there: not what rank 0 says about it."""
    ending = Ending(executor, tmp_path, lambda ranks: ranks[1].send_signal(signal.SIGINT))
    ending.check()
    assert isinstance(ending.raised, RunFailed)
    assert ending.raised.reason.startswith("rank 1: KeyboardInterrupt")


def test_closing_ends_both_ranks(executor: Executor, tmp_path: Path) -> None:
    """What Ctrl-C does: the run is interrupted, not failed."""

    def close(ranks: list[psutil.Process]) -> None:
        threading.Thread(target=executor.close).start()

    ending = Ending(executor, tmp_path, close)
    ending.check()
    assert isinstance(ending.raised, RunInterrupted)


def test_runs_side_by_side_do_not_collide(executor: Executor, tmp_path: Path) -> None:
    """Two at once, each on a port of its own; the same numbers as one after the other."""
    losses: dict[int, list[float]] = {}

    def work(number: int) -> None:
        run = _Done(executor, tmp_path / str(number), ranks=2, batch_size=16)
        losses[number] = run.curve("train/loss")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert losses[0] == losses[1]
    assert len(losses[0]) > 4


@pytest.mark.deepspeed
@pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs the extra `deepspeed`")
def test_deepspeed_in_the_processes_of_the_executor(executor: Executor, tmp_path: Path) -> None:
    """A run under ZeRO-3 is as any other; a run without DeepSpeed never loads it."""
    preset = ds_configs()["zero3-offload"]
    spec = _spec(deepspeed=preset, train={"batch_size": 16, "epochs": 1})
    assert executor.run(spec, lambda event: None, workspace(tmp_path)).validation
    wrong = _spec(deepspeed={"zero_optimization": {"stage": 2, "overlap_com": True}})
    with pytest.raises(RunFailed, match=r"^deepspeed\.zero_optimization\.overlap_com: no such"):
        executor.run(wrong, lambda event: None, workspace(tmp_path))
    code = (
        "import sys; from pathlib import Path; from tests.specs import toy_spec, workspace;"
        "from trainers.contract import Rank; from trainers.train.rank import train_rank;"
        f"train_rank(toy_spec(), lambda e: None, workspace(Path({str(tmp_path)!r})), rank=Rank());"
        "assert 'deepspeed' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "real_accelerator" not in done.stdout + done.stderr
