"""Track with MLflow: runs, curves, tags, files and models, in a database or on a server."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import LoggedModel, LoggedModelOutput, Metric, RunInfo
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from trainers.contract import RunSpec
from tuner.tracking.address import locate_store
from tuner.tracking.base import Curve, Group, Phase, RunRecord
from tuner.tracking.client_reader import ClientReader
from tuner.tracking.creation import Creation
from tuner.tracking.database import open_client
from tuner.tracking.definitions import KeptDefinition, definition_tags
from tuner.tracking.entities import make_inputs, make_params, make_tags
from tuner.tracking.faults import UnknownStudy
from tuner.tracking.files import link_files, local_folder
from tuner.tracking.kept_files import replace_files
from tuner.tracking.ledger import Line, MetricValue
from tuner.tracking.lifecycle import End, LifecycleTracker
from tuner.tracking.lines import read_lines
from tuner.tracking.names import cut, has_several_cells, run_name
from tuner.tracking.saved_model import (
    DATA_FOLDER,
    MODEL_NAME,
    REQUIREMENTS,
    describe_model,
    list_requirements,
)
from tuner.tracking.server import explained, is_gone, prepare_client
from tuner.tracking.sql_reader import open_sql_reader
from tuner.tracking.stored_reader import REPORT, STUDY, StoredReader
from tuner.tracking.tags import (
    KEY,
    PARENT,
    PHASE,
    REASON,
    STATE,
    STATUS,
    fact_tags,
    group_tags,
    run_tags,
)

_LOG = logging.getLogger(__name__)
_LONGEST_STUDY = 20_000
_PRUNED = " (pruned)"


@dataclass(frozen=True)
class _Study:
    experiment_id: str
    resolved_yaml: str


class MlflowTracker(LifecycleTracker):
    """Experiment = study, parent run = configuration, child run = one training.

    MLflow's global state (tracking URI, active run) is not used. Params are the flattened
    RunSpec, and below `retry.` what out of memory changed; facts are tags, `tuner.fact.<name>`.

    Args:
        store: A folder, or the URI of an MLflow server or database.
        loader_module: Module whose `_load_pyfunc` opens the models that `log_model` keeps.

    Raises:
        ConfigError: The store cannot be opened.
    """

    def __init__(self, store: str | Path, *, loader_module: str = "trainers.train.saved") -> None:
        super().__init__()
        self._store = locate_store(store)
        self._loader_module = loader_module
        self._studies: dict[str, _Study] = {}
        prepare_client(self._store)
        with self._explained():
            self._client = open_client(store, self._store)
        self._creation = Creation(self._client)
        reader = ClientReader(self._client)
        uri = self._store.tracking_uri
        self._reader: StoredReader = open_sql_reader(uri, lambda: reader) or reader

    def log_model(self, run_id: str, folder: Path) -> None:
        """Keep the folder as the run's logged model `model`; nothing of it is loaded.

        The folder goes once MLflow has it; a launcher that dies before leaves it whole.
        """
        line = self._ledger[run_id]
        try:
            self._log_model(line, folder)
        except MlflowException as error:
            if not is_gone(error):
                raise
            _LOG.warning(
                "MLflow study %s: run %s was deleted, so its model is left out; the same command "
                "enters both again",
                *(line.group.study, line.run_id),
            )

    def _log_model(self, line: Line, folder: Path) -> None:
        run_id, experiment_id = line.run_id, self._studies[line.group.study].experiment_id
        with self._lock:
            outputs = self._client.get_run(run_id).outputs
            told = outputs is not None and bool(outputs.model_outputs)
            begun = self._client.search_logged_models(
                [experiment_id], f"source_run_id = '{run_id}'"
            )
            if told and not (begun and folder.is_dir()):  # deleted in MLflow, or taken over
                return
            model = (
                begun[0]
                if begun
                else self._client.create_logged_model(
                    experiment_id, name=MODEL_NAME, source_run_id=run_id
                )
            )
            model_id = model.model_id
        # A folder that is still there after MLflow was told may be all that there is.
        files = {
            "MLmodel": describe_model(run_id, model_id, loader_module=self._loader_module),
            REQUIREMENTS: list_requirements(),
        }
        self._keep_model(model, folder, files)
        if not told:
            with self._lock:
                self._client.finalize_logged_model(model_id, "READY")
                self._client.log_outputs(run_id, [LoggedModelOutput(model_id, line.step)])
        shutil.rmtree(folder)  # the weights are MLflow's now

    def _keep_model(self, model: LoggedModel, folder: Path, files: Mapping[str, str]) -> None:
        place = local_folder(model.artifact_location)
        if place is not None:
            link_files(folder, place / DATA_FOLDER)
        else:
            self._client.log_model_artifacts(model.model_id, str(folder), DATA_FOLDER)
        with tempfile.TemporaryDirectory() as scratch:
            for name, content in files.items():
                path = Path(scratch) / name
                path.write_text(content, encoding="utf-8")
                self._client.log_model_artifact(model.model_id, str(path))

    def log_report(self, study: str, folder: Path) -> str:
        """Keep the files in the experiment's one run of the phase `report`."""
        with self._explained():
            run_id = self._report_run(study)
            if self._reader.replace_report(study, folder) is None:
                uri = self._client.get_run(run_id).info.artifact_uri
                replace_files(self._repository(uri), folder)
            self._client.set_terminated(run_id, "FINISHED")
        return run_id

    def runs(self, study: str, *, phase: Phase | None = None) -> list[RunRecord]:
        """Read the runs, groups' parents left out."""
        with self._explained():
            return self._reader.runs(study, phase=phase)

    def curves(self, run_ids: Sequence[str], names: Sequence[str]) -> Iterator[Curve]:
        """Read the curves of runs, many at once."""
        return self._reader.curves(run_ids, names)

    def artifact(self, run_id: str, name: str) -> Path | None:
        """Return a local path of a file that a run left."""
        return self._reader.artifact(run_id, name)

    def study_yaml(self, study: str) -> str:
        """Return the resolved YAML that the study was last opened with."""
        return self._reader.study_yaml(study)

    def definitions(self, study: str) -> list[KeptDefinition]:
        """Return the texts that the study was opened with."""
        with self._explained():
            return self._reader.definitions(study)

    def studies(self) -> list[str]:
        """List the experiments that are studies."""
        with self._explained():
            return self._reader.studies()

    def why_absent(self, study: str) -> str:
        """Say that a study's experiment was deleted or renamed."""
        with self._explained():
            return self._reader.why_absent(study)

    def _make_study(self, name: str, resolved_yaml: str) -> None:
        with self._explained():
            experiment = self._client.get_experiment_by_name(name)
            if experiment is None:
                place = self._store.artifact_uri
                if renamed := ClientReader(self._client).renamed(name):
                    _LOG.warning(
                        "MLflow study %s: its experiment was renamed to %s; it is left as it is, "
                        "and the study goes on in a new one of its own name",
                        *(name, " and ".join(map(repr, renamed))),
                    )
                experiment_id = self._client.create_experiment(name, artifact_location=place)
            else:
                experiment_id = experiment.experiment_id
                if experiment.lifecycle_stage == "deleted":
                    self._restore(name, experiment_id)
            text = cut(resolved_yaml, _LONGEST_STUDY)
            self._client.set_experiment_tag(experiment_id, STUDY, text)
            for key, value in definition_tags(resolved_yaml, self._milliseconds()).items():
                self._client.set_experiment_tag(experiment_id, key, value)
        self._studies[name] = _Study(experiment_id, resolved_yaml)

    def _restore(self, study: str, experiment_id: str) -> None:
        self._client.restore_experiment(experiment_id)
        for run_id in self._replaced:  # with it come all runs that were deleted before
            try:
                self._client.delete_run(run_id)
            except MlflowException as error:
                if not is_gone(error):
                    raise
        self._replaced.clear()
        _LOG.warning("MLflow study %s: its experiment was deleted; it is restored", study)

    def _is_gone(self, error: Exception) -> bool:
        return is_gone(error)

    def _mend_study(self, study: str) -> None:
        known = self._studies[study]
        try:
            experiment = self._client.get_experiment(known.experiment_id)
        except MlflowException as error:
            if not is_gone(error):
                raise
            _LOG.warning("MLflow study %s: its experiment was deleted; a new one is made", study)
            self._make_study(study, known.resolved_yaml)
            return
        if experiment.lifecycle_stage == "deleted":
            self._restore(study, known.experiment_id)
        elif experiment.name != study and self._client.get_experiment_by_name(study) is None:
            self._client.rename_experiment(known.experiment_id, study)
            _LOG.warning(
                "MLflow study %s: its experiment was renamed to %r while the study went on; it "
                "has its name again, by which it is found",
                *(study, experiment.name),
            )

    def settle(self) -> None:
        """Bring back what was deleted or renamed since it was written to last."""
        for study in self._studies:
            with self._lock, self._explained():
                self._mend_study(study)

    def _set_parent(self, line: Line, parent_id: str) -> None:
        self._client.set_tag(line.run_id, PARENT, parent_id)

    def _read_lines(self, study: str) -> Iterable[Line]:
        return read_lines(study, self._reader.stored_runs(study, with_params=False))

    def _read_group(self, group: Group) -> Iterable[Line]:
        experiment_id = self._studies[group.study].experiment_id
        found = ClientReader(self._client).stored_group(group, experiment_id)
        return [line for line in read_lines(group.study, found) if line.group == group]

    def _make_run(self, line: Line, spec: RunSpec | None, params: Mapping[str, str]) -> None:
        study = self._studies[line.group.study]
        tags, seeds = group_tags(line.group), None
        if spec is not None:
            tags, seeds = run_tags(line.group, spec, line.parent_id or ""), spec.seeds
        if line.key:
            tags[KEY] = line.key
        name = run_name(line.group, seeds, with_cell=has_several_cells(study.resolved_yaml))

        def create() -> RunInfo:
            start, place = self._milliseconds(), study.experiment_id
            return self._client.create_run(place, start, tags, name).info

        made = self._creation.make(line.key, study.experiment_id, create)
        line.run_id, line.artifact_uri = made.run_id, made.artifact_uri
        self._client.log_batch(made.run_id, params=make_params(params))
        if spec is None:
            with tempfile.TemporaryDirectory() as scratch:
                path = Path(scratch) / "study.yaml"
                path.write_text(study.resolved_yaml, encoding="utf-8")
                self._keep_files(line, [path])

    def _reopen(self, line: Line, params: Mapping[str, str]) -> None:
        run = self._client.get_run(line.run_id)
        for name in run.data.metrics:
            if line.parent_id and name.startswith(("train/", "validation/")):
                history = self._client.get_metric_history(line.run_id, name)
                line.note(MetricValue(name, m.value, m.step, m.timestamp) for m in history)
        # The launcher may have died between making the run and logging its params.
        missing = {key: value for key, value in params.items() if key not in run.data.params}
        tags = make_tags({STATE: "running", REASON: ""})
        self._client.log_batch(line.run_id, params=make_params(missing), tags=tags)
        name = run.info.run_name.removesuffix(_PRUNED)
        self._client.update_run(line.run_id, status="RUNNING", name=name)

    def _write(self, line: Line, points: Sequence[MetricValue], facts: Mapping[str, str]) -> None:
        self._log(line, points, fact_tags(facts))

    def _log(self, line: Line, points: Sequence[MetricValue], tags: Mapping[str, str]) -> None:
        # The client splits what exceeds the limits of one request.
        metrics = [Metric(p.name, p.value, p.milliseconds, p.step) for p in points]
        self._client.log_batch(line.run_id, metrics=metrics, tags=make_tags(tags))

    def _keep_files(self, line: Line, paths: Sequence[Path]) -> None:
        # The client would ask for the run with all it holds before each file.
        repository = self._repository(line.artifact_uri)
        for path in paths:
            repository.log_artifact(str(path))  # type: ignore[no-untyped-call]  # mlflow's

    def _close(self, line: Line, end: End) -> None:
        inputs = make_inputs(line, {**line.facts, **end.facts})
        if inputs:
            self._client.log_inputs(line.run_id, inputs)
        tags = fact_tags(end.facts) | {STATE: end.state, REASON: end.reason}
        self._log(line, end.points, tags)
        if end.state == "pruned":
            name = self._client.get_run(line.run_id).info.run_name
            self._client.update_run(line.run_id, name=name.removesuffix(_PRUNED) + _PRUNED)
        self._client.set_terminated(line.run_id, STATUS[end.state], self._milliseconds())
        study = self._studies[line.group.study]
        self._creation.remove_twins(line.key, study.experiment_id, line.run_id)

    def _report_run(self, study: str) -> str:
        """Return the identifier of the run of a study's report, made if it is not there."""
        for run in self._reader.stored_runs(study, phase=REPORT, with_params=False):
            return run.run_id
        experiment = self._client.get_experiment_by_name(study)
        if experiment is None or study not in self.studies():
            raise UnknownStudy(study, self.studies())
        tags = {PHASE: REPORT, "mlflow.source.name": "tuner"}
        made = self._client.create_run(experiment.experiment_id, tags=tags, run_name=REPORT)
        run_id: str = made.info.run_id
        # Launchers of two machines may have made one each: both keep the first and no other.
        first = next(self._reader.stored_runs(study, phase=REPORT, with_params=False)).run_id
        if first != run_id:
            self._client.delete_run(run_id)
        return first

    def _repository(self, artifact_uri: str) -> ArtifactRepository:
        return get_artifact_repository(artifact_uri, tracking_uri=self._store.tracking_uri)

    def _explained(self) -> AbstractContextManager[None]:
        return explained(self._store.shown)
