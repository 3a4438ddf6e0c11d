"""Print facts and warnings about a study's data on standard error, as they are read."""

from __future__ import annotations

import logging
import sys


def show_reading() -> None:
    """Print log records about rows and left-out cells; called once, by the command that reads."""
    for name in ("tuner.study.reading", "tuner.study.checks"):
        logger = logging.getLogger(name)
        logger.handlers = [_Lines()]
        logger.setLevel(logging.INFO)


class _Lines(logging.Handler):
    """Prints each record as a line."""

    def emit(self, record: logging.LogRecord) -> None:
        mark = "warning: " if record.levelno >= logging.WARNING else ""
        # Looked up each time: a live view replaces sys.stderr.
        print(f"{mark}{record.getMessage()}", file=sys.stderr, flush=True)
