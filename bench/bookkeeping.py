"""Time what a trial costs besides its training: Optuna, claims, journal and MLflow."""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest import mock

from bench.made_up import make_events, make_result
from trainers.contract import Emit, RunResult, RunSpec, Workspace
from tuner.config import StudyConfig
from tuner.executors import Executor
from tuner.load import parse_study
from tuner.progress import RunNotice
from tuner.store import Store
from tuner.study import run_study

POINTS = 50
"""Points of each curve of a run, as a training has them."""


@dataclass(frozen=True)
class Cost:
    """What one trial takes when so many are in the study."""

    store: str
    sampler: str
    trials: int
    milliseconds: float
    """On the wall, the mean of the last tenth of the trials."""
    busy: float
    """Of them on a processor, in the launcher."""


class _Untrained(Executor):
    """Says at once what a training would have said."""

    def run(self, spec: RunSpec, emit: Emit, workspace: Workspace) -> RunResult:
        """Make up events and a result."""
        skill = 1 / (1 + spec.train.learning_rate)
        for event in make_events(POINTS, skill):
            emit(event)
        return make_result(skill, "confirm" if spec.read_test else "search")

    def close(self) -> None:
        """Do nothing."""


def measure(
    store: Store, kind: str, *, sampler: str, marks: Sequence[int], tell: Callable[[Cost], None]
) -> None:
    """Run a study of one cell without training; tell the cost of a trial at each mark."""
    ended: list[tuple[float, float]] = [(time.perf_counter(), time.process_time())]

    def watch(notice: RunNotice) -> None:
        if notice.state == "running" or notice.phase != "search":
            return
        ended.append((time.perf_counter(), time.process_time()))
        trials = len(ended) - 1
        if trials in marks:
            count = max(5, trials // 10)
            (wall, busy), (wall_before, busy_before) = ended[-1], ended[-1 - count]
            milliseconds = [
                1000 * took / count for took in (wall - wall_before, busy - busy_before)
            ]
            tell(Cost(kind, sampler, trials, *milliseconds))

    with mock.patch("tuner.study.make_executor", return_value=_Untrained()):
        run_study(_study(max(marks), sampler), store=store, watch=watch)


def _study(trials: int, sampler: str) -> StudyConfig:
    rate = {"float": [1e-5, 1e-1], "log": True}
    space = {"train.learning_rate": rate, "train.weight_decay": {"float": [0.0, 0.1]}}
    tree = {
        "name": "bookkeeping",
        "tasks": ["toy"],
        "models": ["tiny-bert"],
        "search": {"trials": trials, "seeds": [7], "sampler": sampler, "pruner": "none"},
        "confirm": {"seeds": [1]},
        "arms": {"full": {"method": "full", "space": space}},
    }
    return parse_study(tree)


@contextlib.contextmanager
def _store(kind: str, root: Path) -> Iterator[Store]:
    if kind == "SQLite":
        yield Store(root)
        return
    from tests.postgres import postgres

    with postgres() as server:
        yield Store(root, server.url())


def main() -> None:
    """Measure one store with one sampler, print JSON lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", choices=["SQLite", "PostgreSQL"], default="SQLite")
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--marks", type=int, nargs="+", default=[10, 100, 1000])
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as root, _store(words.store, Path(root) / "s") as store:
        measure(
            store,
            words.store,
            sampler=words.sampler,
            marks=words.marks,
            tell=lambda cost: print(json.dumps(asdict(cost)), flush=True),
        )


if __name__ == "__main__":
    main()
