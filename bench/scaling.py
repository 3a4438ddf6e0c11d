"""Measure the cost of a study besides training, and the gain by more workers and nodes.

Run it from the repository root on an idle machine, with the extras `ray` and `postgres`:
`python -m bench.scaling --output docs/results/scaling.md`. It takes about half an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.bookkeeping import Cost
from trainers.contract import Seeds, Workspace
from tuner.config import StudyConfig, parse_study
from tuner.store import RunRecord
from tuner.study import RunNotice, run_study
from tuner.tracking import open_reader

_GPUS, _RUNS, _HOURS = 100, 10_000, 0.5
_EPOCHS, _ROWS = 30, 1_000


@dataclass(frozen=True)
class Way:
    """A way of running the study, with its times."""

    title: str
    seconds: float
    """Wall seconds from the first run's beginning to the last one's end."""
    training: float
    """Seconds of all runs, by their own measurement."""
    worked: float
    """Seconds of all workers, each from its first run's beginning to its last one's end."""

    @property
    def elsewhere(self) -> float:
        """Share of the workers' time without training."""
        return 1 - self.training / self.worked


def study(runs: int, **executor: Any) -> StudyConfig:
    """Return a study of a number of runs of one configuration, each on one thread."""
    return parse_study(
        {
            "name": "scaling",
            "tasks": [{"kind": "toy", "rows": _ROWS}],
            "models": ["tiny-bert"],
            "train": {"epochs": _EPOCHS, "learning_rate": 1e-3, "precision": "fp32"},
            "confirm": {"seeds": list(range(1, runs + 1))},
            "executor": executor | {"threads": 1},
            "arms": {"full": {"method": "full"}},
        }
    )


def measure(title: str, config: StudyConfig) -> Way:
    """Run the study in a store of its own. A worker's time before its first event is left out."""
    worker_of: dict[int, int] = {}
    moments: defaultdict[int, list[float]] = defaultdict(list)

    def watch(notice: RunNotice) -> None:
        if notice.event is not None or notice.state != "running":
            moments[worker_of[notice.seed]].append(time.perf_counter())
        else:  # a worker says so in a thread of its own
            worker_of[notice.seed] = threading.get_ident()

    with tempfile.TemporaryDirectory() as store:
        outcome = run_study(config, store=store, watch=watch)
        assert not outcome.failures, outcome
        training = sum(map(_training, open_reader(store).runs(config.name)))
    spans = [(min(seen), max(seen)) for seen in moments.values()]
    seconds = max(end for _, end in spans) - min(begin for begin, _ in spans)
    return Way(title, seconds, training, sum(end - begin for begin, end in spans))


def bare_loop(runs: int) -> Way:
    """Train the same runs one after the other, with nothing around them."""
    from trainers.train import train

    config = study(runs, kind="inprocess")
    training = 0.0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        started = time.perf_counter()
        for seed in range(runs + 1):
            if seed == 1:  # the first has loaded torch and tokenised
                started, training = time.perf_counter(), 0.0
            seeds = Seeds(init=seed, order=seed)
            spec = config.spec(task="toy", model="tiny-bert", arm="full", seeds=seeds)
            spec = spec.model_copy(update={"read_test": True})
            place = Workspace(data_dir=root, cache_dir=root, run_dir=root / str(seed), threads=1)
            training += sum(train(spec, lambda event: None, place).seconds.values())
    seconds = time.perf_counter() - started
    return Way("a bare loop of `train`", seconds, training, seconds)


def on_ray(runs: int, nodes: int) -> Way:
    """Run the study on a cluster of nodes with one CPU each."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1)
        settings = {"kind": "ray", "address": cluster.address, "cpus_per_run": 1}
        return measure(
            f"Ray, {nodes} node{'s' * (nodes > 1)}", study(runs, **settings, workers=nodes)
        )
    finally:
        ray.shutdown()
        cluster.shutdown()


def text(ways: Sequence[Way], costs: Sequence[Cost], command: str) -> Iterator[str]:
    """Yield the lines of the result."""
    yield f"# What a study costs besides training\n\n    {command}\n"
    yield f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}.\n"
    yield "## One study, done in several ways\n"
    yield "| way | wall, bare loop = 1 | share of the workers' time that is not training |"
    yield "| --- | ---: | ---: |"
    for way in ways:
        yield f"| {way.title} | {way.seconds / ways[0].seconds:.2f} | {way.elsewhere:.1%} |"
    yield "\nA worker's time is that from its first run's first event to its last run's end. The"
    yield "loading of torch, once a study and once a place on Ray, stands before that and is left"
    yield "out of the shares. Two workers share the machine's memory bandwidth.\n"
    yield "## Bookkeeping of a trial\n"
    yield "A study of one cell whose trainings take 0.3 s and no processor. Milliseconds that a"
    yield "trial takes besides: in Optuna's sampler, which looks at all trials to choose the next,"
    yield "and in the rest, with Optuna's log and the journal of all runs. Then those that the"
    yield "launcher works for it on a processor, while it is trained too, and those that the"
    yield "process which writes to MLflow (on SQLite) works meanwhile; and PostgreSQL's writing"
    yield "transactions, each of which reaches the disk (`fsync`). Means of the last tenth of the"
    yield "trials, and of at least five.\n"
    yield (
        "| journal in | sampler | trials | ms besides training | sampler | the rest | "
        "ms of the launcher | ms for MLflow | transactions |"
    )
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for cost in costs:
        made = f"{cost.transactions:.0f}" if cost.transactions else ""
        times = [cost.milliseconds, cost.sampling, cost.milliseconds - cost.sampling]
        cells = " | ".join(f"{spent:.0f}" for spent in (*times, cost.busy, cost.mlflow))
        yield f"| {cost.store} | {cost.sampler} | {cost.trials:,} | {cells} | {made} |"
    yield from _projection(
        max(max(cost.busy, cost.mlflow) for cost in costs),
        max(cost.transactions for cost in costs),
    )


def _projection(busy: float, transactions: float) -> Iterator[str]:
    gap = _HOURS * 3600 / _GPUS
    yield f"\n## {_RUNS:,} runs on {_GPUS} GPUs, by calculation\n"
    yield f"With runs of {60 * _HOURS:.0f} minutes one ends every {gap:.0f} s and the study takes"
    yield f"{_RUNS * _HOURS / _GPUS:.0f} hours. At the most of the above, {busy:.0f} ms a run,"
    yield f"the busier of one launcher's two processes works {busy / 1000 / gap:.1%} of the time;"
    yield f"runs of {busy / 1000 * _GPUS:.0f} s would keep it busy all the time. PostgreSQL sees"
    yield f"{transactions:.0f} writing transactions a run, {transactions / gap:.1f} a second."


def _training(run: RunRecord) -> float:
    return sum(spent for name, spent in run.metrics.items() if name.startswith("seconds/"))


def _bookkeeping(marks: Sequence[int]) -> Iterator[Cost]:
    """Measure each store in a process of its own."""
    for store in ("SQLite", "PostgreSQL"):
        command = [sys.executable, "-m", "bench.bookkeeping", "--store", store, "--marks"]
        done = subprocess.run(
            [*command, *map(str, marks)], stdout=subprocess.PIPE, text=True, check=True
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        yield from (Cost(**json.loads(line)) for line in lines)


def main() -> None:
    """Measure everything, print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=8, help="runs of the study")
    parser.add_argument("--marks", type=int, nargs="+", default=[10, 100, 1_000])
    parser.add_argument("--output", type=Path, help="file to write the tables to as well")
    words = parser.parse_args()
    ways = [bare_loop(words.runs)]
    for workers in (1, 2):
        title = f"`process`, {workers} worker{'s' * (workers > 1)}"
        ways.append(measure(title, study(words.runs, kind="process", workers=workers)))
    ways += [on_ray(words.runs, nodes) for nodes in (1, 2)]
    costs = list(_bookkeeping(words.marks))
    command = "python -m bench.scaling " + " ".join(sys.argv[1:])
    result = "\n".join(text(ways, costs, command.strip())) + "\n"
    if words.output:
        words.output.write_text(result, encoding="utf-8")
    print(result, end="")


if __name__ == "__main__":
    main()
