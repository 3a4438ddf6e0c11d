"""Replace the files that a run keeps at an MLflow server or in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlflow.store.artifact.artifact_repo import ArtifactRepository


def replace_files(repository: ArtifactRepository, folder: Path) -> None:
    """Keep a folder's files, and of those that were kept before nothing else."""
    repository.log_artifacts(str(folder))  # type: ignore[no-untyped-call]  # mlflow's
    for name in _files(repository, ""):
        if not (folder / name).is_file():
            repository.delete_artifacts(name)  # type: ignore[no-untyped-call]  # mlflow's


def _files(repository: ArtifactRepository, folder: str) -> Iterator[str]:
    """Yield the paths of a run's files, those in folders too."""
    for entry in repository.list_artifacts(folder or None):
        if entry.is_dir:
            yield from _files(repository, entry.path)
        else:
            yield entry.path
