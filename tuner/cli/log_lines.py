"""Print what a study's data hold, on standard error, as it is read."""

from __future__ import annotations

import logging
import sys


def show_reading() -> None:
    """Print what is logged of rows and left cells; called once, by the command that reads."""
    for name in ("tuner.study.reading", "tuner.study.checks"):
        logger = logging.getLogger(name)
        logger.handlers = [_Lines()]
        logger.setLevel(logging.INFO)


class _Lines(logging.Handler):
    """Prints a line a record."""

    def emit(self, record: logging.LogRecord) -> None:
        mark = "warning: " if record.levelno >= logging.WARNING else ""
        # Looked up now: a live view puts its own in its place.
        print(f"{mark}{record.getMessage()}", file=sys.stderr, flush=True)
