"""Say that an MLflow server is away, and that it is back."""

from __future__ import annotations

import logging
import time
from pathlib import Path

_LOG = logging.getLogger(__name__)


class Absence:
    """Says once that the server is away, and once that it is back."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder
        self._begun = time.monotonic()
        self._failures = 0

    def note(self, error: Exception) -> None:
        """Take a failure; the second says that it was not just a connection that was lost."""
        self._failures += 1
        if self._failures == 2:
            _LOG.warning(
                "MLflow %s is away (%s); the study goes on, what it writes is kept in %s",
                *(self._name, error, self._folder),
            )

    def end(self) -> None:
        """Take note that all is written."""
        if self._failures >= 2:
            seconds = time.monotonic() - self._begun
            _LOG.warning("MLflow %s is back after %.0f s", self._name, seconds)
