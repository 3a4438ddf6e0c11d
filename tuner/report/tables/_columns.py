"""Columns that several tables have."""

from __future__ import annotations

from tuner.report.comparison import Row
from tuner.report.contracts import Column
from tuner.report.view import PAGE, Field, Heading, TableCell, cell_of, word
from tuner.report.wording import missing

TASK = Column("task", "string", "the task's name")
MODEL = Column("model", "string", "the pretrained model's name")
ARM = Column("arm", "string", "the arm's name; `arm [study]` where two studies share it")
PLACE: tuple[Field, ...] = (
    (Heading("task", numeric=False, shown_in=PAGE), cell_of("task", word)),
    (Heading("model", numeric=False, shown_in=PAGE), cell_of("model", word)),
    (Heading("arm", numeric=False, shown_in=PAGE), cell_of("arm", word)),
)
"""Which cell a row is about, on the page."""


def state_cell(row: Row) -> TableCell:
    """Return how a run or a trial ended, with the reason where there is one."""
    reason = row["reason"]
    return TableCell(str(row["state"]), detail="" if missing(reason) else str(reason))
