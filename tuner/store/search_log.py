"""The ends of the trials of searches in a store's journal; read without Optuna."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trainers.plugins import Frozen
from tuner.store.attempts import AttemptLine
from tuner.store.journal import Journal
from tuner.store.records import LoggedTrial

_TICKETS = "tickets "


class TrialEnd(Frozen):
    """The end of a trial."""

    state: str
    """finished, pruned, diverged or failed."""
    values: tuple[float, ...] = ()
    """A value for each objective; none where it did not finish."""


def search_name(study: str, label: str, fingerprint: str) -> str:
    """Return the name of a cell's search; a cell with a changed name or definition gets a new one.

    Args:
        study: Name of the study.
        label: Task, model and arm: arms may be equal in all but their names.
        fingerprint: Fingerprint of the cell's definition.
    """
    return f"{study} / {label} @ {fingerprint}"


def log_topic(search: str) -> str:
    """Return the topic of Optuna's own log of a search."""
    return f"search {search}"


def ticket_topic(search: str) -> str:
    """Return the topic of a search's tickets: who holds its trials, and how they ended."""
    return f"{_TICKETS}{search}"


def read_search_log(journal: Journal, study: str) -> Mapping[str, Sequence[LoggedTrial]]:
    """Return the begun trials of a study's searches, by the search's name."""
    found: dict[str, dict[int, LoggedTrial]] = {}
    for _, topic, text in journal.read_mixed((), f"{_TICKETS}{study} / ", 0, None):
        line = AttemptLine.model_validate_json(text)
        number, trials = int(line.name), found.setdefault(topic.removeprefix(_TICKETS), {})
        end = TrialEnd.model_validate_json(line.content) if line.content else None
        if end is not None:
            trials[number] = LoggedTrial(number, ended=True, values=end.values)
        else:
            trials.setdefault(number, LoggedTrial(number, ended=False))
    return {name: [trials[number] for number in sorted(trials)] for name, trials in found.items()}
