"""Read runs from MLflow, independent of how they are fetched."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import yaml

from tuner.config import Phase
from tuner.store import Curve, KeptDefinition, Reader, RunRecord, UnknownStudy
from tuner.tracking.curves import true_curves
from tuner.tracking.files import local_folder
from tuner.tracking.names import is_cut
from tuner.tracking.run_parts import SPEC, has_whole_spec, read_spec
from tuner.tracking.tags import (
    PARENT,
    StoredRun,
    is_damaged,
    kept_definitions,
    record_of,
    seed_params,
    state_of,
)

_LOG = logging.getLogger(__name__)
_AT_ONCE = 8

STUDY = "tuner.study"
"""Tag of an experiment that is a study: its resolved YAML."""


class StoredReader(Reader):
    """Base of the readers of MLflow's runs; subclasses fetch them."""

    def __init__(self) -> None:
        self._artifact_uris: dict[str, str] = {}
        self._said: set[str] = set()
        self._specs: dict[str, dict[str, str]] = {}

    @abstractmethod
    def stored_runs(
        self, study: str, *, phase: str | None = None, with_params: bool = True
    ) -> Iterator[StoredRun]:
        """Yield the runs of a study's experiment, groups' parents too, in the order of start."""

    def runs(self, study: str, *, phase: Phase | None = None) -> list[RunRecord]:
        """Read the runs, without groups' parents."""
        records = []
        stored = list(self.stored_runs(study, phase=phase))
        parents = {run.run_id: state_of(run) for run in stored if PARENT not in run.tags}
        for run in self._with_specs(stored):
            record = record_of(study, run, parents)
            if record is not None:
                self._artifact_uris[run.run_id] = run.artifact_uri
                records.append(record)
            elif is_damaged(run) and run.run_id not in self._said:
                self._said.add(run.run_id)
                _LOG.warning(
                    "MLflow study %s: run %s is left out; its tags were removed or changed",
                    *(study, run.run_id),
                )
        return sorted(records, key=lambda record: (record.start, record.run_id))

    def _with_specs(self, stored: Sequence[StoredRun]) -> Iterator[StoredRun]:
        """Yield runs with all of their specs as params; MLflow has them in files of parents."""
        self._artifact_uris |= {run.run_id: run.artifact_uri for run in stored}
        lean = [r for r in stored if PARENT in r.tags and not has_whole_spec(r.params)]
        wanted = {run.tags[PARENT]: run.run_id for run in lean}
        new = {parent: child for parent, child in wanted.items() if parent not in self._specs}
        with ThreadPoolExecutor(_AT_ONCE) as pool:  # of a server, each takes two requests
            self._specs |= zip(new, pool.map(self._read_spec, new, new.values()), strict=True)
        for run in stored:
            spec = self._specs.get(run.tags.get(PARENT, ""))
            yield replace(run, params=run.params | spec | seed_params(run.tags)) if spec else run

    def _read_spec(self, parent: str, child: str) -> dict[str, str]:
        """Read the spec of a configuration: its own, or that of one of its runs."""
        return read_spec(self.artifact(parent, SPEC)) or read_spec(self.artifact(child, SPEC))

    @abstractmethod
    def stored_curves(self, run_ids: Sequence[str], names: Sequence[str]) -> Iterator[Curve]:
        """Yield curves as `curves` does, by the stored names of metrics."""

    def curves(self, run_ids: Sequence[str], names: Sequence[str]) -> Iterator[Curve]:
        """Read the curves of runs, many at once."""
        return true_curves(names, lambda stored: self.stored_curves(run_ids, stored))

    def artifact(self, run_id: str, name: str) -> Path | None:
        """Return the file in the run's folder if it is on this machine, else download it."""
        uri = self._artifact_uris.get(run_id) or self._find_artifact_uri(run_id)
        if uri is None:
            return None
        self._artifact_uris[run_id] = uri
        folder = self._folder(uri)
        if folder is None:
            return self._download(run_id, name)
        path = folder / name
        return path if path.is_file() else None

    def study_yaml(self, study: str) -> str:
        """Return the last kept definition; if there is none, the newest parent's file."""
        tags = self._study_tags(study)
        if STUDY not in tags:
            raise UnknownStudy(study, self.studies())
        kept, text = kept_definitions(tags), tags[STUDY]
        if kept:
            return kept[-1].text
        if is_cut(text):
            for run in reversed(list(self.stored_runs(study, with_params=False))):
                path = self.artifact(run.run_id, "study.yaml")
                if path is not None:
                    return path.read_text(encoding="utf-8")
        return text

    def _folder(self, artifact_uri: str) -> Path | None:
        """Return the folder of a run's files; None where it is not on this machine."""
        return local_folder(artifact_uri)

    def definitions(self, study: str) -> list[KeptDefinition]:
        """Return the definitions in the experiment's tags."""
        return kept_definitions(self._study_tags(study))

    def why_absent(self, study: str) -> str:
        """Return that a study's experiment was deleted or renamed, and how to restore it."""
        if self._is_deleted(study):
            return "its experiment was deleted in MLflow; the same run-study command restores it"
        renamed = self.renamed(study)
        if not renamed:
            return ""
        names = " and ".join(map(repr, renamed))
        return (
            f"its experiment was renamed to {names} in MLflow; name it {study!r} again there, or "
            "the next run-study begins anew"
        )

    def renamed(self, study: str) -> list[str]:
        """Return the experiments of a study under other names than its own."""
        return [
            name for name, text in self._texts_by_name() if name != study and _is_of(text, study)
        ]

    @abstractmethod
    def _texts_by_name(self) -> Iterable[tuple[str, str]]:
        """Yield the experiments of studies: their names, and the tag of the definition."""

    @abstractmethod
    def _is_deleted(self, study: str) -> bool:
        """Return whether a study's experiment has its name, and was deleted."""

    @abstractmethod
    def _study_tags(self, study: str) -> Mapping[str, str]:
        """Return all tags of a study's experiment; none for an unknown one."""

    @abstractmethod
    def _find_artifact_uri(self, run_id: str) -> str | None: ...

    @abstractmethod
    def _download(self, run_id: str, name: str) -> Path | None: ...


def _is_of(text: str, study: str) -> bool:
    """Return whether a resolved YAML, which may be cut, is a study's, by its first line."""
    try:
        return bool(yaml.safe_load(text.partition("\n")[0]) == {"name": study})
    except yaml.YAMLError:
        return False
