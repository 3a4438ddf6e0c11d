"""Optuna's own log of a cell's search, kept in the store's journal."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from typing import Any

import optuna
from optuna.storages.journal import BaseJournalBackend

from tuner.store.journal import Journal

TICKET = "ticket"
"""User attribute of a waiting trial: its number among the cell's tickets."""


class TicketMade(Exception):  # a state, not an error
    """Another launcher has made the ticket of this number already."""


class SearchLog(BaseJournalBackend):
    """The back end of Optuna's `JournalStorage`: one topic of the store's journal.

    Args:
        journal: The store's.
        topic: Topic of the search.
    """

    def __init__(self, journal: Journal, topic: str) -> None:
        self._journal = journal
        self._topic = topic
        self._read, self._last = 0, 0

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Return the entries from a number on."""
        if log_number_from == self._read:  # as Optuna's storage calls it
            found = self._journal.read(self._topic, self._last)
            self._read += len(found)
            self._last = found[-1].id if found else self._last
            return [json.loads(line) for _, line in found]
        return [json.loads(line) for _, line in self._journal.read(self._topic)][log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries.

        Raises:
            TicketMade: One is a ticket that exists already.
        """
        for log in logs:
            number = log.get("user_attrs", {}).get(TICKET)
            key = "" if number is None else f"{self._topic}|{TICKET}|{number}"
            if not self._journal.append(self._topic, json.dumps(log), key=key):
                raise TicketMade


def open_storage(journal: Journal, topic: str) -> optuna.storages.JournalStorage:
    """Open Optuna's storage of one search.

    Optuna's warnings of future changes are turned off: a user of a study can do nothing about
    them.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(optuna|tuner)\.")
    return optuna.storages.JournalStorage(SearchLog(journal, topic))
