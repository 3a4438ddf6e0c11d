"""A store whose journal a test fills, and which is projected to MLflow in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun

from tests.journals import opened
from trainers.contract import ParameterCounts, RunEvent, RunResult, RunSpec, Seeds
from tuner.store.attempts import Attempt
from tuner.store.definitions import open_study
from tuner.store.journal import Journal
from tuner.store.location import Store
from tuner.store.outcome import Outcome
from tuner.store.projected import Projected
from tuner.store.records import Group, RunState
from tuner.store.runs import EventLog, GroupEnd, RunBegun, Runs, event_topic
from tuner.tracking import locate_store
from tuner.tracking.mlflow_store import MlflowStore
from tuner.tracking.projection import Projection
from tuner.tracking.projector import tracker_name

STUDY = "toy study"
YAML = "name: toy study\ntasks: [toy]\nmodels: [tiny-bert]\n"
SHARED = {
    **{"task.name": "toy", "model.name": "tiny-bert", "method.kind": "full"},
    "train.learning_rate": "2e-05",
}
"""Params of a configuration of `make_spec` in MLflow: what is no default, and what tells runs."""
SHOWN = SHARED | {"seeds.init": "7", "seeds.order": "7"}
"""Params of a run of `make_spec` in MLflow."""
LOADER = "tests.tuner.tracking.stand_in_loader"


def make_spec(seed: int = 7, **train: object) -> RunSpec:
    """Return a small run."""
    seeds = Seeds(init=seed, order=seed)
    tree = {"task": "toy", "model": "tiny-bert", "method": "full", "train": train, "seeds": seeds}
    return RunSpec.model_validate(tree)


def make_group(
    arm: str = "full", *, trial: int | None = 0, study: str = STUDY, cell: str = "c0ffee"
) -> Group:
    """Return a configuration of the test's study."""
    phase = "confirm" if trial is None else "search"
    return Group(
        study=study, task="toy", model="tiny-bert", arm=arm, phase=phase, trial=trial, cell=cell
    )


def make_events(steps: int = 3) -> list[RunEvent]:
    """Return a short run's events: a start, steps, an epoch."""
    start = RunEvent(kind="start", time=1_000.0, facts={"torch": "2", "data.train": "ab" * 32})
    curve = [
        RunEvent(kind="step", time=1_000.5 + step, step=step, metrics={"train/loss": 1 / step})
        for step in range(1, steps + 1)
    ]
    scores = {"validation/macro_f1": 0.5, "validation/f1/A & B": 0.25}
    return [start, *curve, RunEvent(kind="epoch", time=2_000.0, step=steps, metrics=scores)]


def make_result(macro_f1: float = 0.75) -> RunResult:
    """Return a finished run's result; its kept epoch is not the last."""
    return RunResult(
        validation={"macro_f1": macro_f1},
        test={"macro_f1": 0.4, "accuracy": 0.6},
        epoch=1.0,
        parameters=ParameterCounts(total=100, trained=30, head=10),
        memory={"train/peak_bytes": 2**20},
        seconds={"load": 1.0, "train": 2.0},
        facts={"torch": "2", "git_commit": "f00d", "data.test": "cd" * 32, "rows.test": "9"},
    )


@dataclass(frozen=True)
class Desk:
    """A journal that is open, and the runs in it."""

    store: Path
    target: str
    """MLflow: the store's folder, or a server."""
    journal: Journal

    @property
    def runs(self) -> Runs:
        """The journal's runs, as a launcher that has just begun sees them."""
        return Runs(self.journal)

    @property
    def client(self) -> MlflowClient:
        """MLflow's stock client."""
        return MlflowClient(locate_store(self.target).tracking_uri)

    @property
    def projected(self) -> Projected:
        """How far MLflow has been told."""
        name = tracker_name(None if self.target == str(self.store) else self.target)
        return Projected(self.journal.engine, name)

    def projection(self) -> Projection:
        """Return a projection, as a process has it that has just been started."""
        target = MlflowStore(self.target, loader_module=LOADER)
        return Projection(self.journal, Store(self.store), target, self.projected)

    def project(self, projection: Projection | None = None) -> None:
        """Project all that there is, by a new process or one that continues, and settle."""
        projection = projection or self.projection()
        while projection.step()[1]:
            pass
        projection.settle()

    def open_study(self, study: str = STUDY, text: str = YAML) -> None:
        """Enter a study."""
        open_study(self.journal, study, text)

    def begin(
        self,
        spec: RunSpec | None = None,
        group: Group | None = None,
        *,
        events: Sequence[RunEvent] | None = None,
        retry: Mapping[str, str] | None = None,
    ) -> Attempt:
        """Enter an attempt with its events, in two lines; beside them a folder with its spec."""
        spec, group = spec or make_spec(), group or make_group()
        begun = RunBegun(group=group, spec=spec.model_dump(mode="json"), retry=retry or {})
        attempt = self.runs.take(spec.digest(), begun.model_dump_json())
        assert attempt is not None
        self.log(attempt, make_events() if events is None else events)
        folder = self.folder(attempt)
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text(spec.model_dump_json())
        return attempt

    def log(self, attempt: Attempt, events: Sequence[RunEvent]) -> None:
        """Enter events of an attempt."""
        log = EventLog(self.journal, event_topic(attempt.name, attempt.number))
        for event in events:
            log.write(event)
        log.finish()
        self.journal.flush()

    def end(
        self, attempt: Attempt, state: RunState = "finished", reason: str = "", **changes: object
    ) -> None:
        """End an attempt, with a result where it has finished."""
        result = make_result() if state == "finished" else None
        outcome = Outcome.model_validate(
            {"state": state, "reason": reason, "result": result, **_told()} | changes
        )
        self.runs.end(attempt, outcome.model_dump_json())

    def close(
        self, group: Group | None = None, state: RunState = "finished", reason: str = ""
    ) -> None:
        """End a configuration."""
        self.runs.close(group or make_group(), GroupEnd(state=state, reason=reason))
        self.journal.flush()

    def do(self, spec: RunSpec | None = None, group: Group | None = None) -> Attempt:
        """Enter a study, and a run that has finished in a configuration that has ended."""
        self.open_study()
        attempt = self.begin(spec, group)
        self.end(attempt)
        self.close(group)
        return attempt

    def folder(self, attempt: Attempt) -> Path:
        """Return the folder where an attempt leaves its files."""
        return Store(self.store).run_dir(attempt.name, attempt.number)

    def leave_model(self, attempt: Attempt) -> Path:
        """Leave a model in an attempt's folder, as a run does, and have the study keep it."""
        folder = self.folder(attempt) / "model"
        (folder / "weights").mkdir(parents=True)
        (folder / "word.txt").write_text("hello")
        (folder / "weights" / "model.safetensors").write_bytes(b"w" * 1000)
        self.runs.keep(attempt, make_group())
        return folder

    def found(self, study: str = STUDY) -> dict[str, MlflowRun]:
        """Return MLflow's runs of a study by their names, which are all different."""
        experiment = self.client.get_experiment_by_name(study)
        assert experiment is not None
        runs = list(self.client.search_runs([experiment.experiment_id]))
        named = {run.info.run_name: run for run in runs}
        assert len(named) == len(runs)
        return named


@contextmanager
def desk(store: Path, target: str = "") -> Iterator[Desk]:
    """Open the journal of a folder, which is projected to MLflow there or at a server."""
    store.mkdir(exist_ok=True)
    with opened(store) as journal:
        yield Desk(store, target or str(store), journal)


def _told() -> dict[str, object]:
    """Return what the events of `make_events` brought."""
    metrics, facts = dict[str, float](), dict[str, str]()
    for event in make_events():
        metrics |= event.metrics
        facts |= event.facts
    return {"metrics": metrics, "facts": facts}
