"""What a real run takes by the CPU allocator's own record, and specs whose batches are full."""

from __future__ import annotations

import csv
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.specs import toy_spec, workspace
from trainers.contract import RunSpec
from trainers.train import train


def allocator_peak(run: Callable[[], object]) -> int:
    """Return the most that torch's CPU allocator held for `run`, above what it held before."""
    from torch.profiler import ProfilerActivity, profile

    gc.collect()  # or what an earlier run left would be freed while this one is watched
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        run()
    events = [e for e in record.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


def full_spec(folder: Path, *, batches: int = 3, scored: int = 2, **changes: Any) -> RunSpec:
    """Return a spec whose batches are as long as `max_length`, a quarter of the rows shorter.

    Args:
        folder: Where the task's files go.
        batches: Optimizer steps in an epoch.
        scored: Rows of the validation split.
        changes: As for `toy_spec`.
    """
    settings = {"max_length": 64, "batch_size": 8, "eval_batch_size": 2, "epochs": 1}
    settings |= {"group_by_length": False, **changes.pop("train", {})}
    rows = batches * settings["batch_size"] * settings.get("gradient_accumulation", 1)
    sizes = {"train": rows, "validation": scored, "test": 2}
    task = {"kind": "text_file", "name": "full", "text": "text", "label": "label"}
    for name, size in sizes.items():
        task[name] = str(folder / f"{name}.csv")
        _write(folder / f"{name}.csv", size, settings["max_length"])
    return toy_spec(task=task, train=settings, **changes)


def _write(path: Path, rows: int, words: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(rows):
            length = words // 2 if row % 4 == 1 else words
            writer.writerow([f"{'good ' * length} {row}", "ab"[row % 2]])


def run_peak(spec: RunSpec, folder: Path) -> int:
    """Return the allocator's peak of a whole real run."""
    return allocator_peak(lambda: train(spec, lambda _: None, workspace(folder, threads=2)))
