"""Search under a memory cap with a hard limit of the same size: who dies, who is refused wrongly.

Run it from the repository root: `python bench/memory_cap.py --output docs/results/memory-cap.md`.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import psutil

from trainers.contract import RunSpec, Workspace
from trainers.errors import RunFailed
from trainers.peaks import own_bytes
from tuner.executors.process import ProcessExecutor
from tuner.load import parse_study
from tuner.plan import plan
from tuner.sizes import parse_bytes, show_bytes
from tuner.store import Store
from tuner.study import run_study
from tuner.trackers import MemoryTracker, RunRecord

STUDY = "memory-cap"


def main(words: Sequence[str] | None = None) -> None:
    """Search, then try what was refused, and print what became of both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=50, help="of each of the two arms")
    parser.add_argument("--model", default="tiny-bert")
    parser.add_argument("--task", default="toy")
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--length", type=int, nargs=2, default=(8, 32))
    parser.add_argument("--batch", type=int, nargs=2, default=(8, 2048))
    parser.add_argument("--cap", default="800MB")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as scratch:
        text = _measure(arguments, Path(scratch))
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    print(text, end="")


def _measure(arguments: argparse.Namespace, root: Path) -> str:
    cap = parse_bytes(arguments.cap)
    executor = ProcessExecutor()
    executor.warm_up()
    _limit(cap - executor.compute(own_bytes))
    tracker = MemoryTracker()
    run_study(parse_study(_study(arguments)), store=root, tracking=tracker, data_dir=root)
    records = [r for r in tracker.runs(STUDY) if r.group.phase == "search"]
    refused = [record for record in records if record.state == "pruned"]
    survived = [_try(executor, record, arguments, root) for record in refused]
    executor.close()
    return _report(arguments, records, survived)


def _limit(growth: int) -> None:
    """Limit the address space of every run to what it has when it is forked, and so much more."""
    server = psutil.Process(forkserver._forkserver._forkserver_pid)  # type: ignore[attr-defined]
    most = server.memory_info().vms + growth
    server.rlimit(psutil.RLIMIT_AS, (most, most))


def _study(arguments: argparse.Namespace) -> dict[str, Any]:
    task: Any = arguments.task
    if task == "toy":
        task = {"kind": "toy", "rows": arguments.rows, "pair": True}
    space = {
        "train.batch_size": {"int": list(arguments.batch), "log": True},
        "train.max_length": {"int": list(arguments.length)},
    }
    return {
        "name": STUDY,
        "tasks": [task],
        "models": [arguments.model],
        "train": {"epochs": 1, "precision": "fp32", "learning_rate": 1e-3},
        "search": {
            "trials": arguments.trials,
            "seeds": [7],
            "pruner": "none",
            "sampler": "random",
        },
        "confirm": {"seeds": [1]},
        "memory_cap": arguments.cap,
        "executor": {"kind": "process", "workers": 1, "threads": 2},
        "max_failures": 10_000,
        "arms": {
            "full": {"method": "full", "space": space},
            "lora": {"method": "lora", "space": space},
        },
    }


def _try(
    executor: ProcessExecutor, record: RunRecord, arguments: argparse.Namespace, root: Path
) -> bool:
    """Say whether a refused run gets through under the hard limit."""
    spec = _spec(record, arguments)
    place = Store(root)
    workspace = Workspace(
        data_dir=root.resolve(),
        cache_dir=place.cache_dir.resolve(),
        run_dir=place.run_dir(record.digest).resolve(),
        threads=2,
        frugal=True,
    )
    try:
        executor.run(spec, lambda event: None, workspace)
    except RunFailed:  # where C++ cannot have memory, it may abort
        return False
    return True


def _spec(record: RunRecord, arguments: argparse.Namespace) -> RunSpec:
    point: dict[str, Any] = {
        name: int(record.params[name]) for name in ("train.batch_size", "train.max_length")
    }
    cells = plan(parse_study(_study(arguments)))
    cell = next(cell for cell in cells if cell.arm == record.group.arm)
    spec = cell.spec(record.seeds, point)
    assert spec.digest() == record.digest
    return spec


def _report(
    arguments: argparse.Namespace, records: Sequence[RunRecord], survived: Sequence[bool]
) -> str:
    states = [record.state for record in records]
    died = [record for record in records if "out of memory" in record.reason]
    trials = states.count("finished") + states.count("pruned") + states.count("failed")
    command = shlex.join(["python", "bench/memory_cap.py", *sys.argv[1:]])
    rows = {
        "trials": trials,
        "finished": states.count("finished"),
        "refused before they started": states.count("pruned"),
        "failed": states.count("failed"),
        "tries that ran out of memory": len(died),
        "refused, though they get through under the limit": sum(survived),
    }
    reasons = sorted({r.reason for r in records if r.state == "failed" and r not in died})
    lines = [
        "# A search under a memory cap",
        "",
        f"Made by `{command}`.",
        "",
        f"{arguments.model}, full fine-tuning and LoRA, one epoch on a CPU; batches of "
        f"{arguments.batch[0]} to {arguments.batch[1]} rows, {arguments.length[0]} to "
        f"{arguments.length[1]} tokens, drawn at random. `memory_cap: "
        f"{show_bytes(parse_bytes(arguments.cap))}`, and the same as a hard limit: RLIMIT_AS at "
        "the address space that a run has when it begins, plus the cap, minus its own resident "
        "memory then. What was refused was then tried under the limit, without the cap.",
        "",
        "| | |",
        "|---|---:|",
        *(f"| {name} | {count} |" for name, count in rows.items()),
        *(f"\nFailed: {reason}" for reason in reasons),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
