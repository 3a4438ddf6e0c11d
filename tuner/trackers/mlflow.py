"""Track with MLflow: runs, curves, tags, files and models, in a SQLite store or on a server."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunTag,
)
from mlflow.exceptions import MlflowException

from trainers.contract import RunSpec
from trainers.errors import ConfigError
from tuner.trackers.address import locate_store, quiet_migration
from tuner.trackers.base import Phase, RunRecord, RunState
from tuner.trackers.ledger import Line, MetricValue
from tuner.trackers.lifecycle import LifecycleTracker
from tuner.trackers.names import cut, entity_name, has_several_cells, run_name
from tuner.trackers.saved_model import DATA_FOLDER, MODEL_NAME, describe_model
from tuner.trackers.tags import (
    DIGEST,
    PARENT,
    REASON,
    STATE,
    STATUS,
    StoredRun,
    fact_tags,
    group_of,
    group_tags,
    record_of,
    run_tags,
    state_of,
)

_LONGEST_PARAM, _LONGEST_TAG, _LONGEST_STUDY, _LONGEST_DIGEST = 6_000, 8_000, 20_000, 36
_PAGE = 1_000
_STUDY = "tuner.study"
_PRUNED = " (pruned)"


@dataclass(frozen=True)
class _Study:
    experiment_id: str
    resolved_yaml: str


class MlflowTracker(LifecycleTracker):
    """Experiment = study, parent run = configuration, child run = one training.

    MLflow's global state (tracking URI, active run) is not used. Params are the flattened
    RunSpec and nothing else; facts are tags, `tuner.fact.<name>`.

    Args:
        store: A folder, or the URI of an MLflow server or database.
        loader_module: Module whose `_load_pyfunc` opens the models that `log_model` keeps.

    Raises:
        ConfigError: The store cannot be opened.
    """

    def __init__(self, store: str | Path, *, loader_module: str = "trainers.saved") -> None:
        super().__init__()
        self._store = locate_store(store)
        self._loader_module = loader_module
        self._studies: dict[str, _Study] = {}
        with quiet_migration(), self._explained():
            self._client = MlflowClient(tracking_uri=self._store.tracking_uri)

    def log_model(self, run_id: str, folder: Path) -> None:
        """Keep the folder as the run's logged model `model`; nothing of it is loaded."""
        line = self._ledger[run_id]
        experiment_id = self._studies[line.group.study].experiment_id
        with self._lock:
            outputs = self._client.get_run(run_id).outputs
            if outputs is not None and outputs.model_outputs:
                return
            model_id = self._client.create_logged_model(
                experiment_id, name=MODEL_NAME, source_run_id=run_id
            ).model_id
        text = describe_model(run_id, model_id, loader_module=self._loader_module)
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "MLmodel"
            path.write_text(text, encoding="utf-8")
            self._client.log_model_artifacts(model_id, str(folder), DATA_FOLDER)
            self._client.log_model_artifact(model_id, str(path))
        with self._lock:
            self._client.finalize_logged_model(model_id, "READY")
            self._client.log_outputs(run_id, [LoggedModelOutput(model_id, line.step)])

    def runs(self, study: str, *, phase: Phase | None = None) -> list[RunRecord]:
        """Read the runs, groups' parents left out."""
        experiment = self._client.get_experiment_by_name(study)
        if experiment is None:
            return []
        wanted = f"tags.`tuner.phase` = '{phase}'" if phase else ""
        found = [record_of(study, run) for run in self._search(experiment.experiment_id, wanted)]
        records = [record for record in found if record is not None]
        return sorted(records, key=lambda record: (record.start, record.run_id))

    def studies(self) -> list[str]:
        """List the experiments that are studies."""
        found = _pages(self._client.search_experiments, {})
        return sorted(experiment.name for experiment in found if _STUDY in experiment.tags)

    def _make_study(self, name: str, resolved_yaml: str) -> None:
        with self._explained():
            experiment = self._client.get_experiment_by_name(name)
            if experiment is None:
                place = self._store.artifact_uri
                experiment_id = self._client.create_experiment(name, artifact_location=place)
            elif experiment.lifecycle_stage == "deleted":
                raise ConfigError(
                    f"study {name!r}: its MLflow experiment is deleted; use another name, or run "
                    f"`mlflow experiments restore -x {experiment.experiment_id}`"
                )
            else:
                experiment_id = experiment.experiment_id
            text = cut(resolved_yaml, _LONGEST_STUDY)
            self._client.set_experiment_tag(experiment_id, _STUDY, text)
        self._studies[name] = _Study(experiment_id, resolved_yaml)

    def _read_lines(self, study: str) -> Iterable[Line]:
        for run in self._search(self._studies[study].experiment_id, ""):
            group = group_of(study, run.tags)
            if group is not None:
                parent_id, digest = run.tags.get(PARENT), run.tags.get(DIGEST, "")
                line = Line(run.run_id, group, parent_id, digest, state_of(run))
                line.note(MetricValue(name, value, 0, 0) for name, value in run.metrics.items())
                yield line

    def _make_run(self, line: Line, spec: RunSpec | None, params: Mapping[str, str]) -> str:
        study = self._studies[line.group.study]
        tags, seeds = group_tags(line.group), None
        if spec is not None:
            tags, seeds = run_tags(line.group, spec, line.parent_id or ""), spec.seeds
        name = run_name(line.group, seeds, with_cell=has_several_cells(study.resolved_yaml))
        run = self._client.create_run(study.experiment_id, tags=tags, run_name=name)
        run_id: str = run.info.run_id
        self._client.log_batch(run_id, params=_params(params))
        if spec is None:
            self._client.log_text(run_id, study.resolved_yaml, "study.yaml")
        return run_id

    def _reopen(self, line: Line, params: Mapping[str, str]) -> None:
        run = self._client.get_run(line.run_id)
        for name in run.data.metrics:
            if line.parent_id and name.startswith(("train/", "validation/")):
                history = self._client.get_metric_history(line.run_id, name)
                line.note(MetricValue(name, m.value, m.step, m.timestamp) for m in history)
        # The launcher may have died between making the run and logging its params.
        missing = {key: value for key, value in params.items() if key not in run.data.params}
        tags = _tags({STATE: "running", REASON: ""})
        self._client.log_batch(line.run_id, params=_params(missing), tags=tags)
        name = run.info.run_name.removesuffix(_PRUNED)
        self._client.update_run(line.run_id, status="RUNNING", name=name)

    def _write(self, line: Line, points: Sequence[MetricValue], facts: Mapping[str, str]) -> None:
        # The client splits what exceeds the limits of one request.
        metrics = [Metric(p.name, p.value, p.milliseconds, p.step) for p in points]
        self._client.log_batch(line.run_id, metrics=metrics, tags=_tags(fact_tags(facts)))

    def _keep_file(self, line: Line, path: Path) -> None:
        self._client.log_artifact(line.run_id, str(path))

    def _close(self, line: Line, state: RunState, reason: str) -> None:
        inputs = _inputs(line)
        if inputs:
            self._client.log_inputs(line.run_id, inputs)
        self._client.log_batch(line.run_id, tags=_tags({STATE: state, REASON: reason}))
        if state == "pruned":
            name = self._client.get_run(line.run_id).info.run_name
            self._client.update_run(line.run_id, name=name.removesuffix(_PRUNED) + _PRUNED)
        self._client.set_terminated(line.run_id, STATUS[state])

    def _search(self, experiment_id: str, wanted: str) -> Iterator[StoredRun]:
        order = ["attributes.start_time ASC"]
        query = {"experiment_ids": [experiment_id], "filter_string": wanted, "order_by": order}
        return map(_stored, _pages(self._client.search_runs, query))

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn MLflow's refusal of a store or a study into one line."""
        try:
            yield
        except MlflowException as error:
            line = str(error).partition("\n")[0]
            raise ConfigError(f"MLflow store {self._store.tracking_uri}: {line}") from error


def _pages(search: Callable[..., Any], query: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what a search finds, page after page."""
    token = None
    while True:
        page = search(**query, max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _params(values: Mapping[str, str]) -> list[Param]:
    return [Param(entity_name(name), cut(text, _LONGEST_PARAM)) for name, text in values.items()]


def _tags(values: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(name, cut(text, _LONGEST_TAG)) for name, text in values.items()]


def _inputs(line: Line) -> list[DatasetInput]:
    """Return the task's splits as MLflow's data sets, known by the digests among the facts."""
    inputs = []
    for split in ("train", "validation", "test"):
        digest = line.facts.get(f"data.{split}")
        if digest and line.parent_id:
            dataset = Dataset(
                name=line.group.task,
                digest=digest[:_LONGEST_DIGEST],
                source_type="tuner",
                source=json.dumps({"task": line.group.task, "split": split, "sha256": digest}),
                profile=json.dumps({"num_rows": line.facts.get(f"rows.{split}")}),
            )
            inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", split)]))
    return inputs


def _stored(run: Run) -> StoredRun:
    return StoredRun(
        run_id=run.info.run_id,
        status=run.info.status,
        start=run.info.start_time,
        end=run.info.end_time,
        tags=run.data.tags,
        params=run.data.params,
        metrics=run.data.metrics,
    )
