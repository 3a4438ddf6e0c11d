"""Search under a memory cap and a hard limit of the same size; memory_cap.py calls it."""

from __future__ import annotations

import argparse
import re
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import psutil
from capped_page import put, section

from trainers.contract import RunSpec, Workspace
from trainers.errors import RunFailed
from tuner.config import parse_bytes, parse_study, plan, read_executor
from tuner.executors import Executor
from tuner.store import RunRecord, Store
from tuner.study import run_study
from tuner.tracking import open_reader

STUDY = "memory-cap"
_SECONDS_BETWEEN_LOOKS = 0.005


@dataclass(frozen=True)
class SetUp:
    """A search and its cap."""

    model: str
    task: Any
    batch: tuple[int, int]
    length: tuple[int, int]
    cap: str


_TOY = {"kind": "toy", "rows": 1024, "pair": True}
SETUPS = {
    "tiny-600MB": SetUp("tiny-bert", _TOY, (64, 1024), (8, 48), "600MB"),
    "tiny-480MB": SetUp("tiny-bert", _TOY, (64, 1024), (8, 48), "480MB"),
    "roberta-540MB": SetUp("tiny-roberta", _TOY, (64, 1024), (8, 64), "540MB"),
    "minilm-1100MB": SetUp("minilm", "bbc_fs", (4, 48), (32, 128), "1100MB"),
}


class Watch(threading.Thread):
    """Records the largest address space of each run, by the folder of its log."""

    def __init__(self, server: psutil.Process) -> None:
        super().__init__(daemon=True)
        self.peaks: dict[str, int] = {}
        self._server = server

    def run(self) -> None:
        """Read the sizes repeatedly."""
        ended = threading.Event()
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children")
        while not ended.wait(_SECONDS_BETWEEN_LOOKS):
            for child in children.read_text().split():
                try:
                    log = Path(f"/proc/{child}/fd/2").readlink()
                    status = Path(f"/proc/{child}/status").read_text()
                except OSError:
                    continue
                if log.name == "stderr.log" and "VmPeak" in status:  # which a zombie has not
                    digest = log.parent.name.partition("-")[0]  # the number of the try follows
                    peak = max(self.peaks.get(digest, 0), _size(status, "VmPeak"))
                    self.peaks[digest] = peak


@dataclass
class Bench:
    """One set-up's search, and the refused runs that are tried after it."""

    setup: SetUp
    trials: int
    root: Path
    executor: Executor = field(default_factory=lambda: read_executor("process").open())

    def __post_init__(self) -> None:
        self.executor.warm_up()
        status = self.executor.compute(Path.read_text, Path("/proc/self/status"))
        self.own, self.before = _size(status, "RssAnon"), _size(status, "VmSize")
        self.data = _size(status, "VmData")
        pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        self.server = psutil.Process(pid)
        self.cap = parse_bytes(self.setup.cap)
        self.watch = Watch(self.server)
        self.watch.start()

    def search(self) -> list[RunRecord]:
        """Run the study under cap and limit; return its search runs."""
        self._limit(self.cap)
        config = parse_study(self._study())
        run_study(config, store=self.root, tracking="none", data_dir=self.root)
        return open_reader(self.root).runs(STUDY, phase="search")

    def try_refused(self, record: RunRecord) -> bool:
        """Return whether a refused run succeeds under the limit; if not, run it without."""
        if self._passes(record):
            return True
        self._limit(None)
        if not self._passes(record):
            raise SystemExit(f"{record.digest} fails without a limit too")
        self._limit(self.cap)
        return False

    def need(self, record: RunRecord) -> int:
        """Return the smallest limit under which a tried run would have succeeded."""
        return self.watch.peaks[record.digest] - self.before + self.own

    def predicted(self, record: RunRecord) -> int:
        """Return a run's predicted bytes."""
        parts = ("framework_bytes", "train_peak_bytes")
        return int(sum(record.metrics[f"memory/predicted/{part}"] for part in parts))

    def _limit(self, most: int | None) -> None:
        """Limit the memory of runs; None: no limit."""
        for kind, before in ((psutil.RLIMIT_AS, self.before), (psutil.RLIMIT_DATA, self.data)):
            size = -1 if most is None else before + most - self.own
            self.server.rlimit(kind, (size, -1))

    def _passes(self, record: RunRecord) -> bool:
        store = Store(self.root)
        folder = self.root / "tried" / record.digest
        workspace = Workspace(
            data_dir=self.root.resolve(),
            cache_dir=store.cache_dir.resolve(),
            run_dir=folder.resolve(),
            threads=2,
            frugal=True,
        )
        self.watch.peaks.pop(record.digest, None)
        try:
            self.executor.run(self._spec(record), lambda event: None, workspace)
        except RunFailed:
            return False
        return True

    def _spec(self, record: RunRecord) -> RunSpec:
        names = ("train.batch_size", "train.max_length")
        point: dict[str, Any] = {name: int(record.params[name]) for name in names}
        cells = plan(parse_study(self._study()))
        cell = next(cell for cell in cells if cell.arm == record.group.arm)
        spec = cell.spec(record.seeds, point)
        assert spec.digest() == record.digest
        return spec

    def _study(self) -> dict[str, Any]:
        space = {
            "train.batch_size": {"int": list(self.setup.batch), "log": True},
            "train.max_length": {"int": list(self.setup.length)},
        }
        search = {"trials": self.trials, "seeds": [7], "pruner": "none", "sampler": "random"}
        search["finalists"] = "none"
        return {
            "name": STUDY,
            "tasks": [self.setup.task],
            "models": [self.setup.model],
            "train": {"epochs": 1, "precision": "fp32", "learning_rate": 1e-3},
            "search": search,
            "confirm": {"seeds": [1]},
            "memory_cap": self.setup.cap,
            "executor": {"kind": "process", "workers": 1, "threads": 2},
            "max_failures": 10_000,
            "arms": {arm: {"method": arm, "space": space} for arm in ("full", "lora")},
        }


def main(words: Sequence[str] | None = None) -> None:
    """Search, then try the refused runs, and print the results."""
    parser = argparse.ArgumentParser(prog="memory_cap.py", description=__doc__)
    parser.add_argument("setup", choices=SETUPS)
    parser.add_argument("--trials", type=int, default=50, help="of each of the two arms")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(SETUPS[arguments.setup], arguments.trials, Path(scratch))
        records = bench.search()
        through = {
            record.digest: bench.try_refused(record)
            for record in records
            if record.state == "pruned"
        }
        text = section(arguments.setup, bench, records, through)
        bench.executor.close()
    print(text, end="")
    if arguments.output:
        put(arguments.output, list(SETUPS), arguments.setup, text)


def _size(status: str, name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024
