"""A sentence about a task's rows, and how it names a row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

NOTABLE = 0.01
"""Share of a split's rows from which a fault of single rows is a warning."""
ROWS_OF = {"train": "training rows", "validation": "validation rows", "test": "test rows"}
_ROW_ID = re.compile(r"(?:(?P<task>.*)/)?(?P<split>train|validation|test)-(?P<number>\d+)")


@dataclass(frozen=True)
class Finding:
    """A sentence about a task's rows."""

    name: str
    """What it is about, such as `cut`; the same name is about the same thing in every task."""
    text: str
    warns: bool
    """It makes a comparison wrong, or its numbers doubtful."""


def row_name(row_id: str, split: str) -> str:
    """Name a row as its file counts it, such as `row 12`, or as the task does."""
    found = _ROW_ID.fullmatch(row_id)
    if found is None:
        return f"row {row_id!r}"
    of_task = f" of {found['task']}" if found["task"] else ""
    of_file = f" of {found['split']}" if found["split"] != split else ""
    return f"row {found['number']}{of_file}{of_task}"


def row_place(row_id: str) -> tuple[str, str, int]:
    """Return what sorts rows as their files have them; rows without a number keep their order."""
    found = _ROW_ID.fullmatch(row_id)
    return (found["task"] or "", found["split"], int(found["number"])) if found else ("", "", 0)


def joined(parts: Sequence[str]) -> str:
    """Join parts by commas and `and`."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
