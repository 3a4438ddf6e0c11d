"""Start real launchers of one study for tests, and look at what they leave."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import psutil
import yaml
from mlflow import MlflowClient
from sqlalchemy import create_engine, inspect, text

from tests.journals import opened, trials
from tests.specs import QUICK, toy_tree
from tests.starts import Started
from tuner.store.attempts import Attempt
from tuner.store.location import find_store
from tuner.store.projected import Projected
from tuner.store.runs import Runs
from tuner.tracking.projector import tracker_name

TRIALS, SEEDS = 4, 3
HEARTBEAT = 2.0
PROCESS = {"kind": "process", "threads": 1, "heartbeat_seconds": HEARTBEAT}
INPROCESS = PROCESS | {"kind": "inprocess"}
"""Without a fork server that loads torch: what launchers tell each other is the same."""
_LINE = re.compile(r"[\d:]{8} (.+?)  .*[\d.]+ s")
"""Of a run that was done: those that were found end with `(found)`."""


@dataclass
class Launchers:
    """A folder with a study, and the processes that were started on it."""

    folder: Path
    store: str = ""
    """URL of the shared database; empty: the local store."""
    tracking: str = ""
    """Address of an MLflow server; empty: the local store."""
    started: list[Started] = field(default_factory=list)

    def write_study(self, **changes: Any) -> None:
        """Write a study of ten runs: a search, and two cells to confirm."""
        tree = toy_tree(
            train=QUICK | {"epochs": 6},
            search={"trials": TRIALS, "seeds": [7], "pruner": "none"},
            confirm={"seeds": list(range(1, SEEDS + 1))},
            executor=PROCESS,
        )
        self.folder.mkdir(exist_ok=True)
        tree |= changes
        (self.folder / f"{tree['name']}.yaml").write_text(yaml.safe_dump(tree))

    def start(self, *words: str, study: str = "toy-study") -> Started:
        """Start one more launcher."""
        store = ["--store", self.store, "--files", "mlruns"] if self.store else []
        tracking = ["--tracking", self.tracking] if self.tracking else []
        command = ["run-study", f"{study}.yaml", *store, *tracking, *words]
        number = len(self.started)
        with (
            (self.folder / f"{number}.out").open("wb") as out,
            (self.folder / f"{number}.err").open("wb") as err,
        ):
            environment = os.environ | {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
            process = Started(
                command, cwd=self.folder, environment=environment, stdout=out, stderr=err
            )
        self.started.append(process)
        return process

    def end(self, process: Started, code: int = 0) -> None:
        """Wait for a launcher's end."""
        found = process.wait(240)
        assert found == code, self.said(process)

    def said(self, process: Started) -> str:
        """Return what a launcher wrote to its standard error."""
        return (self.folder / f"{self.started.index(process)}.err").read_text()

    def output(self, process: Started) -> str:
        """Return what a launcher wrote to its standard output."""
        return (self.folder / f"{self.started.index(process)}.out").read_text()

    def kill_all(self) -> None:
        """Leave no process behind."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()

    def done(self) -> Counter[str]:
        """Count how often each run was done, as the launchers said it, found ones left out."""
        counts: Counter[str] = Counter()
        for number in range(len(self.started)):
            for line in (self.folder / f"{number}.out").read_text().splitlines():
                if match := _LINE.fullmatch(line):
                    counts[match.group(1)] += 1
        return counts

    def wait_for_runs(self, count: int) -> None:
        """Wait until so many runs have begun."""
        place = self.folder / "mlruns"
        wait_until(lambda: len(list((place / "runs").glob("*/spec.json"))) >= count)

    def wait_for_writes(self) -> None:
        """Wait until MLflow has been told everything so far."""
        with opened(self.store or self.folder / "mlruns") as journal:
            told = Projected(journal.engine, tracker_name(self.tracking or None))
            last = journal.last_id()
            wait_until(
                lambda: (
                    told.cursor() >= last
                    or not journal.read_mixed(("runs", "studies"), "events ", told.cursor(), 1)
                )
            )

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """Read the trials of the one cell that is searched."""
        return trials(self.store or self.folder / "mlruns")

    def runs(self, study: str = "toy-study") -> list[Any]:
        """Read every run of a study through the stock client."""
        local = f"sqlite:///{(self.folder / 'mlruns' / 'mlflow.db').resolve()}"
        client = MlflowClient(tracking_uri=self.tracking or local)
        experiment = client.get_experiment_by_name(study)
        assert experiment is not None
        return list(client.search_runs([experiment.experiment_id]))

    def attempts(self) -> dict[str, Sequence[Attempt]]:
        """Read the attempts at each run."""
        with opened(self.store or self.folder / "mlruns") as journal:
            return Runs(journal).all()

    def wait_for_launchers(self, count: int) -> None:
        """Wait until so many launchers have entered themselves in the database, and begun."""
        engine = create_engine(self._url())
        query = text("SELECT count(*) FROM leases")

        def entered() -> bool:
            if not inspect(engine).has_table("leases"):
                return False
            with engine.connect() as connection:
                return int(connection.execute(query).scalar_one()) >= count

        wait_until(entered)
        engine.dispose()

    def _url(self) -> str:
        files = self.folder / "mlruns"
        return find_store(self.store or files, files if self.store else None).database_url

    def check(self) -> None:
        """Nothing lost, nothing doubled: in Optuna, in MLflow, in the journal."""
        states = [trial.state for trial in self.trials()]
        assert states == [optuna.trial.TrialState.COMPLETE] * TRIALS
        runs = self.runs()
        children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
        finished = [run for run in children if run.info.status == "FINISHED"]
        digests = [
            (r.data.tags["mlflow.parentRunId"], r.data.tags["tuner.digest"]) for r in finished
        ]
        assert len(digests) == len(set(digests)) == TRIALS + 2 * SEEDS
        assert {run.info.status for run in children} <= {"FINISHED", "KILLED"}
        parents = [run for run in runs if run not in children]
        groups = [_group(run) for run in parents if "tuner.cell" in run.data.tags]
        assert len(groups) == len(set(groups)) == TRIALS + 2
        assert {run.info.status for run in parents} == {"FINISHED"}
        for run in parents:
            if run.data.tags["tuner.phase"] == "confirm":
                assert run.data.metrics["n"] == SEEDS
        attempts = self.attempts()
        assert len(attempts) == TRIALS + 2 * SEEDS
        for tried in attempts.values():
            assert all(one.ended is not None for one in tried)
            assert sum('"state":"finished"' in (one.ended or "") for one in tried) == 1


@contextmanager
def launched(folder: Path, *words: str) -> Iterator[Started]:
    """Run the study in a folder by its command, or by other words; it ends before the test."""
    launcher = Started(["run-study", *(words or ["study.yaml"])], cwd=folder)
    try:
        yield launcher
    finally:
        launcher.kill()
        launcher.communicate()


def ranks_of(launcher: int | None = None) -> list[psutil.Process]:
    """List the processes of the runs of a launcher, or of this process, rank 0 first.

    They lead groups of their own, as servers and the process do that write to MLflow.
    """
    found = [p for p in psutil.Process(launcher).children(recursive=True) if _is_rank(p)]
    return sorted(found, key=lambda process: process.pid)


def _is_rank(process: psutil.Process) -> bool:
    try:
        made_by = " ".join(process.cmdline())
        return os.getpgid(process.pid) == process.pid and "multiprocessing.forkserver" in made_by
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def lives(process: psutil.Process) -> bool:
    """Return whether a process still does anything.

    One that has ended stays in the system's table until its parent asks for its exit code. An
    orphan's parent is the system's first process, and some of those ask every two seconds.
    """
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _group(run: Any) -> tuple[Any, ...]:
    return tuple(run.data.tags.get(f"tuner.{k}") for k in ("arm", "cell", "phase", "trial"))
