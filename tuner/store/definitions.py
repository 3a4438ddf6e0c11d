"""The definitions that studies were opened with, as the journal keeps them."""

from __future__ import annotations

import time

from trainers.plugins import Frozen
from tuner.store.journal import Journal
from tuner.store.records import KeptDefinition, UnknownStudy, definition_id

STUDIES = "studies"
"""Topic of the definitions of studies."""


class StudyOpened(Frozen):
    """A line of the journal: a study was opened with a definition, or ended with it."""

    study: str
    text: str
    """Its resolved YAML, with the additions of `tuner.config.dump_definition`."""
    time: float
    """Seconds since 1970."""


def open_study(journal: Journal, study: str, text: str) -> None:
    """Append a study's definition to the journal, with the time."""
    line = StudyOpened(study=study, text=text, time=time.time())
    journal.append(STUDIES, line.model_dump_json())


def read_studies(journal: Journal) -> dict[str, list[KeptDefinition]]:
    """Return the definitions of all studies, by name, in the order of the last opening."""
    found: dict[str, dict[str, KeptDefinition]] = {}
    for _, text in journal.read(STUDIES):
        line = StudyOpened.model_validate_json(text)
        kept, identity = found.setdefault(line.study, {}), definition_id(line.text)
        kept.pop(identity, None)
        kept[identity] = KeptDefinition(identity, line.time, line.text)
    return {study: list(kept.values()) for study, kept in found.items()}


def last_text(journal: Journal, study: str) -> str:
    """Return the definition that a study was opened with last.

    Raises:
        UnknownStudy: The store has none of this name.
    """
    known = read_studies(journal)
    if study not in known:
        raise UnknownStudy(study, known)
    return known[study][-1].text
