"""A finding about a task's rows, and the name of a row in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

NOTABLE = 0.01
"""Share of a split's rows from which a fault of rows is a warning."""
ROWS_OF = {"train": "training rows", "validation": "validation rows", "test": "test rows"}
_ROW_ID = re.compile(r"(?:(?P<task>.*)/)?(?P<split>train|validation|test)-(?P<number>\d+)")


@dataclass(frozen=True)
class Finding:
    """A finding about a task's rows: a sentence."""

    name: str
    """Its subject, such as `cut`; the same in every task."""
    text: str
    warns: bool
    """Whether it makes a comparison wrong, or its numbers doubtful."""


def row_name(row_id: str, split: str) -> str:
    """Return a row's name by its number in the file, such as `row 12`, or its id."""
    found = _ROW_ID.fullmatch(row_id)
    if found is None:
        return f"row {row_id!r}"
    of_task = f" of {found['task']}" if found["task"] else ""
    of_file = f" of {found['split']}" if found["split"] != split else ""
    return f"row {found['number']}{of_file}{of_task}"


def row_place(row_id: str) -> tuple[str, str, int]:
    """Return a key that sorts rows as in their files; rows without a number keep their order."""
    found = _ROW_ID.fullmatch(row_id)
    return (found["task"] or "", found["split"], int(found["number"])) if found else ("", "", 0)


def joined(parts: Sequence[str]) -> str:
    """Join parts by commas and `and`."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
