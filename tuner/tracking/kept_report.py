"""Keep a study's report in MLflow, as files of one run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from tuner.store import UnknownStudy
from tuner.tracking.address import locate_store
from tuner.tracking.client_reader import ClientReader
from tuner.tracking.files import alone, local_folder, replace_files
from tuner.tracking.mlflow_store import MlflowStore
from tuner.tracking.tags import PHASE

REPORT = "report"
"""Phase and name of the only run of a study's report."""
_NOTE = "mlflow.note.content"
"""Tag that MLflow's pages show as the description."""
_LONGEST_NOTE = 5_000
"""Characters that MLflow keeps in a tag of an experiment."""


def keep(target: str | Path, study: str, folder: Path, note: str = "") -> str:
    """Keep a folder's files as the study's report; return MLflow's id of its run.

    Launchers that share a folder end at the same time: one at a time keeps the report.

    Args:
        target: MLflow: a folder, or the address of a server.
        study: The study's name.
        folder: The files.
        note: Markdown that MLflow shows above the experiment and the report's run.
    """
    address = locate_store(target)
    local = address.artifact_uri is not None
    with alone(Path(target) / ".report") if local else contextlib.nullcontext():
        store = MlflowStore(target)
        with store.explained():
            run_id = _report_run(store, study)
            if note:
                _describe(store, run_id, note)
            uri = store.client.get_run(run_id).info.artifact_uri
            place = local_folder(uri)
            if place is not None:
                replace_files(folder, place)
            else:
                repository = get_artifact_repository(uri, tracking_uri=address.tracking_uri)
                _replace_remote(repository, folder)
            store.client.set_terminated(run_id, "FINISHED")
    return run_id


def _report_run(store: MlflowStore, study: str) -> str:
    """Return the identifier of the run of a study's report; make a missing one."""
    reader = ClientReader(store.client)
    for run in reader.stored_runs(study, phase=REPORT):
        return run.run_id
    experiment = store.client.get_experiment_by_name(study)
    if experiment is None or study not in reader.studies():
        raise UnknownStudy(study, reader.studies())
    tags = {PHASE: REPORT, "mlflow.source.name": "tuner"}
    made = store.client.create_run(experiment.experiment_id, tags=tags, run_name=REPORT)
    run_id: str = made.info.run_id
    # Launchers of two machines may have made one each: both use the first one.
    first = next(reader.stored_runs(study, phase=REPORT)).run_id
    if first != run_id:
        store.client.delete_run(run_id)
    return first


def _describe(store: MlflowStore, run_id: str, note: str) -> None:
    """Describe the report's run, and its experiment unless somebody else has described that."""
    run = store.client.get_run(run_id)
    experiment = store.client.get_experiment(run.info.experiment_id)
    text = note if len(note) <= _LONGEST_NOTE else f"{note[: _LONGEST_NOTE - 4]} ..."
    if experiment.tags.get(_NOTE) in (None, run.data.tags.get(_NOTE)):
        store.client.set_experiment_tag(experiment.experiment_id, _NOTE, text)
    store.client.set_tag(run_id, _NOTE, text)


def _replace_remote(repository: ArtifactRepository, folder: Path) -> None:
    """Send a folder's files to a server, and delete all earlier others."""
    repository.log_artifacts(str(folder))  # type: ignore[no-untyped-call]  # mlflow's
    for name in _files(repository, ""):
        if not (folder / name).is_file():
            repository.delete_artifacts(name)  # type: ignore[no-untyped-call]  # mlflow's


def _files(repository: ArtifactRepository, folder: str) -> Iterator[str]:
    """Yield the paths of a run's files, also those in folders."""
    for entry in repository.list_artifacts(folder or None):
        if entry.is_dir:
            yield from _files(repository, entry.path)
        else:
            yield entry.path
