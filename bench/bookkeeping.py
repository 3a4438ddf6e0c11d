"""Measure the cost of a trial besides its training: Optuna, journal and MLflow."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import psutil
from optuna.samplers import BaseSampler
from sqlalchemy import create_engine, text

from bench.made_up import make_events, make_result
from trainers.contract import Emit, RunResult, RunSpec, Workspace
from tuner.config import ExecutorSettings, Sampler, StudyConfig, parse_study, read_executor
from tuner.executors import Executor
from tuner.store import Store
from tuner.study import RunNotice, run_study

T = TypeVar("T")
POINTS = 50
"""Points of each curve of a run, as a training has them."""


@dataclass(frozen=True)
class Cost:
    """The cost of one trial at a number of trials in the study."""

    store: str
    sampler: str
    trials: int
    milliseconds: float
    """Wall milliseconds besides the training; the mean of the last tenth of the trials."""
    sampling: float
    """Of these, in Optuna's sampler, which reads all trials to choose the next."""
    busy: float
    """CPU milliseconds of the launcher, during the training too."""
    mlflow: float
    """CPU milliseconds of the process that writes to MLflow."""
    transactions: float
    """Writing transactions in PostgreSQL; 0 on SQLite, where they are not counted."""


class _Untrained(Executor):
    """Waits as long as a training would take, and emits its events meanwhile."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._processes = read_executor("process").open()

    def run(self, spec: RunSpec, emit: Emit, workspace: Workspace) -> RunResult:
        """Make up events and a result."""
        skill = 1 / (1 + spec.train.learning_rate)
        events = list(make_events(POINTS, skill))
        begun = time.perf_counter()
        for number, event in enumerate(events, 1):
            until = begun + self._seconds * number / len(events)
            time.sleep(max(0.0, until - time.perf_counter()))
            emit(event)
        return make_result(skill, "confirm" if spec.read_test else "search")

    def compute(self, function: Callable[..., T], *arguments: Any) -> T:
        """Predict memory as a study does, in a process of its own."""
        return self._processes.compute(function, *arguments)

    def close(self) -> None:
        """End that process."""
        self._processes.close()


class _Watch:
    """Adds up the seconds that Optuna's samplers take."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._build = Sampler.build

    def build(self, chosen: Sampler, *arguments: Any, **options: Any) -> BaseSampler:
        """Make a sampler whose steps are timed."""
        made = self._build(chosen, *arguments, **options)
        for step in ("infer_relative_search_space", "sample_relative", "sample_independent"):
            setattr(made, step, self._timed(getattr(made, step)))
        return made

    def _timed(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            begun = time.perf_counter()
            try:
                return step(*arguments)
            finally:
                self.seconds += time.perf_counter() - begun

        return call


def measure(
    store: Store,
    kind: str,
    *,
    sampler: str,
    marks: Sequence[int],
    training: float,
    tell: Callable[[Cost], None],
) -> None:
    """Run a study of one cell with trainings of fixed length; return costs at each mark."""
    count_transactions = _counter(store)
    samplers = _Watch()

    def look() -> tuple[float, float, float, float, int]:
        busy, written = time.process_time(), _written()
        return time.perf_counter(), samplers.seconds, busy, written, count_transactions()

    ended = [look()]

    def watch(notice: RunNotice) -> None:
        if notice.state == "running" or notice.phase != "search":
            return
        ended.append(look())
        trials = len(ended) - 1
        if trials in marks:
            count = max(5, trials // 10)
            wall, sampling, busy, written, made = (
                (now - before) / count
                for now, before in zip(ended[-1], ended[-1 - count], strict=True)
            )
            spent, sampling = 1000 * (wall - training), 1000 * sampling
            # The query takes one transaction itself.
            made = max(0.0, made - 1)
            busy, written = 1000 * busy, 1000 * written
            tell(Cost(kind, sampler, trials, spent, sampling, busy, written, made))

    gc.freeze()  # as the command line does
    with (
        mock.patch.object(ExecutorSettings, "open", return_value=_Untrained(training)),
        mock.patch.object(Sampler, "build", lambda *a, **o: samplers.build(*a, **o)),
    ):
        run_study(_study(max(marks), sampler), store=store, watch=watch)


def _study(trials: int, sampler: str) -> StudyConfig:
    rate = {"float": [1e-5, 1e-1], "log": True}
    space = {"train.learning_rate": rate, "train.weight_decay": {"float": [0.0, 0.1]}}
    tree = {
        "name": "bookkeeping",
        "tasks": ["toy"],
        "models": ["tiny-bert"],
        "search": {
            "trials": trials,
            "seeds": [7],
            "sampler": sampler,
            "pruner": "none",
            "finalists": "none",
        },
        "confirm": {"seeds": [1]},
        "arms": {"full": {"method": "full", "space": space}},
    }
    return parse_study(tree)


def _written() -> float:
    """Return the CPU seconds so far of the process that writes to MLflow."""
    for child in psutil.Process().children():
        if "tuner.tracking.projecting" in child.cmdline():
            used = child.cpu_times()
            return used.user + used.system
    return 0.0


def _counter(store: Store) -> Callable[[], int]:
    """Return a function for the number of PostgreSQL's last writing transaction."""
    if store.shared is None:
        return lambda: 0
    engine = create_engine(store.database_url, isolation_level="AUTOCOMMIT")
    number = text("SELECT txid_current()")

    def count() -> int:
        with engine.connect() as connection:
            return int(connection.execute(number).scalar_one())

    return count


@contextlib.contextmanager
def _store(kind: str, root: Path) -> Iterator[Store]:
    if kind == "SQLite":
        yield Store(root)
        return
    from tests.postgres import postgres

    with postgres(durable=True) as server:
        yield Store(root, server.url())


def main() -> None:
    """Measure one store with one sampler, print JSON lines."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # as the command line does
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", choices=["SQLite", "PostgreSQL"], default="SQLite")
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--marks", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--training", type=float, default=0.3, help="seconds of a training")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as root, _store(words.store, Path(root) / "s") as store:
        measure(
            store,
            words.store,
            sampler=words.sampler,
            marks=words.marks,
            training=words.training,
            tell=lambda cost: print(json.dumps(asdict(cost)), flush=True),
        )


if __name__ == "__main__":
    main()
