"""Recall from a store what a study was before: its last definition, and its added seeds."""

from __future__ import annotations

from pathlib import Path

from tuner.config import (
    StudyConfig,
    is_study_file,
    load_study,
    read_definition,
    study_names,
    with_added_seeds,
)
from tuner.store import KeptDefinition, NoStudies, Store, open_journal_reader


def recall_study(study: str, store: Store, *, data_dir: Path, as_run: bool = False) -> StudyConfig:
    """Load a study, with the confirm seeds that were added to it in a store.

    Args:
        study: A file, a shipped name, or the name of a study that the store holds, which is then
            the study as it was last run there.
        store: The store, which need not exist.
        data_dir: Folder of the task files.
        as_run: A shipped name, too, is the study as it was last run there, if it was.

    Raises:
        ConfigError: No such study, or an invalid one, or the store cannot be read.
    """
    if not is_study_file(study) and (as_run or study not in study_names()):
        for kept in reversed(_kept(store, study)):
            found = read_definition(kept.text)
            if found is not None:
                return found.config.placed((Path.cwd(), data_dir.absolute()))
    return recall_seeds(load_study(study, data_dir=data_dir), store)


def recall_seeds(config: StudyConfig, store: Store) -> StudyConfig:
    """Return a study with the confirm seeds that were added to it in a store.

    Raises:
        ConfigError: The store cannot be read.
    """
    return with_added_seeds(config, (kept.text for kept in _kept(store, config.name)))


def _kept(store: Store, study: str) -> list[KeptDefinition]:
    try:
        return open_journal_reader(store).definitions(study)
    except NoStudies:
        return []
