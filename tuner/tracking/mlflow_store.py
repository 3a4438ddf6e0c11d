"""Write to MLflow, in a database or on a server, by steps that may be repeated."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from mlflow.entities import LoggedModel, LoggedModelOutput, Metric, RunInfo, ViewType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from tuner.store import RunState
from tuner.store.definitions import StudyOpened
from tuner.tracking.address import locate_store
from tuner.tracking.client_reader import ClientReader, all_pages
from tuner.tracking.entities import make_inputs, make_params, make_tags
from tuner.tracking.files import link_files, local_folder
from tuner.tracking.mlflow_database import open_client
from tuner.tracking.names import cut
from tuner.tracking.saved_model import (
    DATA_FOLDER,
    MODEL_NAME,
    REQUIREMENTS,
    describe_model,
    list_requirements,
)
from tuner.tracking.server import explained, is_gone, prepare_client
from tuner.tracking.stored_reader import STUDY
from tuner.tracking.tags import KEY, PARENT, STATUS, definition_tags
from tuner.tracking.views import view_tags

_LOG = logging.getLogger(__name__)
_LONGEST_STUDY = 20_000
_PRUNED = " (pruned)"


class MlflowStore:
    """MLflow's client, with the keys and names of a journal.

    MLflow's global state (tracking URI, active run) is not used.

    Args:
        store: A folder, or the URI of an MLflow server or database.
        loader_module: Module whose `_load_pyfunc` opens kept models.

    Raises:
        ConfigError: The store cannot be opened.
    """

    def __init__(self, store: str | Path, *, loader_module: str = "trainers.saved") -> None:
        self._store = locate_store(store)
        self._loader_module = loader_module
        prepare_client(self._store)
        with self.explained():
            self.client = open_client(store, self._store)
        self._experiments: dict[str, str] = {}
        self._places: dict[str, str] = {}
        self._doubting = True
        self._begun: set[str] = set()
        self._doubtful: dict[str, tuple[str, str]] = {}

    def doubt(self) -> None:
        """Look for a run before making it: another process may have made it."""
        self._doubting = True

    def trust(self) -> None:
        """Make runs without looking for them: all existing ones are known."""
        self._doubting = False
        self._begun.clear()

    def has_studies(self) -> bool:
        """Return whether any study is here, deleted or not."""
        found = self.client.search_experiments(ViewType.ALL)
        return any(STUDY in experiment.tags for experiment in found)

    def open_study(self, opened: StudyOpened, known: Mapping[str, str]) -> bool:
        """Make a study's experiment, or use the existing one; keep the definition.

        Args:
            opened: The study, its definition, and the time of its opening.
            known: The identifiers of runs, by their keys.

        Returns:
            Whether the experiment is a new one.
        """
        study, text = opened.study, opened.text
        experiment = self.client.get_experiment_by_name(study)
        if experiment is None:
            if renamed := ClientReader(self.client).renamed(study):
                _LOG.warning(
                    "MLflow study %s: its experiment was renamed to %s; it is left as it is, "
                    "and the study continues in a new one of its own name",
                    *(study, " and ".join(map(repr, renamed))),
                )
            place = self._store.artifact_uri
            experiment_id = self.client.create_experiment(study, artifact_location=place)
        else:
            experiment_id = experiment.experiment_id
            if experiment.lifecycle_stage == "deleted":
                self._restore(study, experiment_id, known)
        self._experiments[study] = experiment_id
        self.client.set_experiment_tag(experiment_id, STUDY, cut(text, _LONGEST_STUDY))
        opened_at = int(opened.time * 1000)
        tags = definition_tags(text, opened_at) | view_tags(text, opened_at)
        for key, value in tags.items():
            self.client.set_experiment_tag(experiment_id, key, value)
        return experiment is None

    def restore_study(self, opened: StudyOpened, known: Mapping[str, str]) -> bool:
        """Restore a study's experiment after a user has deleted or renamed it.

        Args:
            opened: See `open_study`.
            known: See `open_study`.

        Returns:
            Whether the experiment is a new one.
        """
        study = opened.study
        try:
            experiment = self.client.get_experiment(self.experiment_id(study))
        except MlflowException as error:
            if not is_gone(error):
                raise
            _LOG.warning("MLflow study %s: its experiment was deleted; a new one is made", study)
            self._experiments.pop(study, None)
            return self.open_study(opened, known)
        if experiment.lifecycle_stage == "deleted":
            self._restore(study, experiment.experiment_id, known)
        elif experiment.name != study and self.client.get_experiment_by_name(study) is None:
            self.client.rename_experiment(experiment.experiment_id, study)
            _LOG.warning(
                "MLflow study %s: its experiment was renamed to %r while the study was running; "
                "it has its name again, by which it is found",
                *(study, experiment.name),
            )
        return False

    def _restore(self, study: str, experiment_id: str, known: Mapping[str, str]) -> None:
        """Restore an experiment; MLflow restores its runs, also those deleted earlier."""
        self.client.restore_experiment(experiment_id)
        _LOG.warning("MLflow study %s: its experiment was deleted; it is restored", study)
        for run in all_pages(self.client.search_runs, {"experiment_ids": [experiment_id]}):
            if known.get(run.data.tags.get(KEY, ""), run.info.run_id) != run.info.run_id:
                self.client.delete_run(run.info.run_id)  # it was made again meanwhile

    def experiment_id(self, study: str) -> str:
        """Return MLflow's identifier of a study's experiment."""
        if study not in self._experiments:
            experiment = self.client.get_experiment_by_name(study)
            if experiment is None:
                raise MlflowException(
                    f"No experiment {study!r}", error_code=RESOURCE_DOES_NOT_EXIST
                )
            self._experiments[study] = experiment.experiment_id
        return self._experiments[study]

    def make_run(
        self, study: str, key: str, tags: Mapping[str, str], name: str, milliseconds: int
    ) -> str:
        """Return the identifier of the run of a key; make a missing run."""
        experiment = self.experiment_id(study)
        if self._doubting or key in self._begun:
            for found in self._found(key, experiment):
                self._places[found.run_id] = found.artifact_uri
                return str(found.run_id)
        in_doubt = key in self._begun
        self._begun.add(key)
        made = self.client.create_run(experiment, milliseconds, {**tags, KEY: key}, name).info
        self._places[made.run_id] = made.artifact_uri
        if in_doubt:
            self._doubtful[made.run_id] = key, experiment
        return str(made.run_id)

    def move(self, run_id: str, parent_id: str) -> None:
        """Give a run another parent; a deleted run keeps its own."""
        try:
            self.client.set_tag(run_id, PARENT, parent_id)
        except MlflowException as error:
            if not is_gone(error):
                raise

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Write the params of a run."""
        self.client.log_batch(run_id, params=make_params(params))

    def reopen(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set a run's state to running again."""
        self.client.log_batch(run_id, tags=make_tags(tags))
        name = self.client.get_run(run_id).info.run_name.removesuffix(_PRUNED)
        self.client.update_run(run_id, status="RUNNING", name=name)

    def log(self, run_id: str, points: Sequence[Metric], tags: Mapping[str, str]) -> None:
        """Write points and tags; equal points are kept once."""
        # The client splits writes that exceed the limits of one request.
        self.client.log_batch(run_id, metrics=points, tags=make_tags(tags))

    def metrics(self, run_id: str) -> Mapping[str, float]:
        """Return the last value of each metric of a run; none where the run is gone."""
        try:
            found: Mapping[str, float] = self.client.get_run(run_id).data.metrics
        except MlflowException as error:
            if not is_gone(error):
                raise
            return {}
        return found

    def log_inputs(self, run_id: str, task: str, facts: Mapping[str, str]) -> None:
        """Write a run's splits as MLflow's data sets."""
        if inputs := make_inputs(task, facts):
            self.client.log_inputs(run_id, inputs)

    def keep_files(self, run_id: str, paths: Sequence[Path]) -> None:
        """Keep files of a run."""
        if not paths:
            return
        if run_id not in self._places:
            self._places[run_id] = self.client.get_run(run_id).info.artifact_uri
        # The client would read the whole run before each file.
        uri, tracking_uri = self._places[run_id], self._store.tracking_uri
        repository = get_artifact_repository(uri, tracking_uri=tracking_uri)
        for path in paths:
            repository.log_artifact(str(path))  # type: ignore[no-untyped-call]  # mlflow's

    def keep_text(self, run_id: str, name: str, text: str) -> None:
        """Keep a text as a file of a run."""
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / name
            path.write_text(text, encoding="utf-8")
            self.keep_files(run_id, [path])

    def end(
        self,
        run_id: str,
        points: Sequence[Metric],
        tags: Mapping[str, str],
        state: RunState,
        milliseconds: int,
    ) -> None:
        """Write a run's last values and tags, then its state."""
        self.log(run_id, points, tags)
        if state == "pruned":
            name = self.client.get_run(run_id).info.run_name
            self.client.update_run(run_id, name=name.removesuffix(_PRUNED) + _PRUNED)
        self.client.set_terminated(run_id, STATUS[state], milliseconds)
        if run_id in self._doubtful:
            # A server that hung may execute a request after it has answered the repetition.
            for twin in self._found(*self._doubtful.pop(run_id)):
                if twin.run_id != run_id:
                    self.client.delete_run(twin.run_id)

    def keep_model(self, study: str, run_id: str, folder: Path, step: int) -> None:
        """Keep a folder as a run's logged model `model`; nothing of it is loaded.

        The folder is deleted after MLflow has it; until then it stays complete.

        Args:
            study: The run's study.
            run_id: MLflow's identifier.
            folder: Folder that `trainers.train.save_trained` wrote.
            step: The run's last step.
        """
        experiment_id = self.experiment_id(study)
        outputs = self.client.get_run(run_id).outputs
        recorded = outputs is not None and bool(outputs.model_outputs)
        begun = self.client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'")
        if recorded and not begun:  # deleted in MLflow
            return
        model = (
            begun[0]
            if begun
            else self.client.create_logged_model(
                experiment_id, name=MODEL_NAME, source_run_id=run_id
            )
        )
        # A folder that still exists after MLflow has the model's record may be the only copy.
        files = {
            "MLmodel": describe_model(run_id, model.model_id, loader_module=self._loader_module),
            REQUIREMENTS: list_requirements(),
        }
        self._keep_model_files(model, folder, files)
        if not recorded:
            self.client.finalize_logged_model(model.model_id, "READY")
            self.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step)])
        shutil.rmtree(folder)  # the weights are MLflow's now

    def _keep_model_files(
        self, model: LoggedModel, folder: Path, files: Mapping[str, str]
    ) -> None:
        place = local_folder(model.artifact_location)
        if place is not None:
            link_files(folder, place / DATA_FOLDER)
        else:
            self.client.log_model_artifacts(model.model_id, str(folder), DATA_FOLDER)
        with tempfile.TemporaryDirectory() as scratch:
            for name, content in files.items():
                path = Path(scratch) / name
                path.write_text(content, encoding="utf-8")
                self.client.log_model_artifact(model.model_id, str(path))

    def explained(self) -> AbstractContextManager[None]:
        """Turn an error of MLflow into one line with the store's name."""
        return explained(self._store.shown)

    def _found(self, key: str, experiment_id: str) -> list[RunInfo]:
        runs = self.client.search_runs([experiment_id], f"tags.`{KEY}` = '{key}'")
        return [run.info for run in runs]
