"""Say that an MLflow server is away, and that it is back."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from trainers.proxies import proxy_note

_LOG = logging.getLogger(__name__)
_SECONDS_UNSAID = 10.0
"""A server that hangs for longer is away, too."""


class Absence:
    """Says once that the server is away, and once that it is back."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder
        self._begun = time.monotonic()
        self._asked = self._begun
        self._failures = 0
        self._said = False

    def ask(self) -> None:
        """Take note that the server is asked for something."""
        self._asked = time.monotonic()

    def note(self, error: Exception) -> None:
        """Take a failure; the first, where it came at once, may be just a lost connection."""
        self._failures += 1
        hung = time.monotonic() - self._asked > _SECONDS_UNSAID
        if not self._said and (hung or self._failures > 1):
            self._said = True
            _LOG.warning(
                "MLflow %s is away (%s); the study goes on, what it writes is kept in %s",
                *(self._name, f"{error}{proxy_note(self._name)}", self._folder),
            )

    def end(self) -> None:
        """Take note that all is written."""
        if self._said:
            seconds = time.monotonic() - self._begun
            _LOG.warning("MLflow %s is back after %.0f s", self._name, seconds)
