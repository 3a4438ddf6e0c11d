"""Hold a finished comparison: frames of numbers, and notes on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

LEVEL = 0.05
"""Level of significance of every verdict."""
NOTHING = "No confirm run has finished or failed yet."
NOT_RUN = "not run"
UNFAIR = "Not a fair comparison"
DOUBTFUL = "Doubtful data"
READ_FIRST = "Read this first"
CAPTION = (
    "Scores are on the test split, in points (a loss in nats), mean ± standard deviation of the "
    "sample over n seeds, with the 95% interval of the mean (Student t). Peak memory is the "
    "largest of the training phase over the runs, seconds the mean wall time of a run."
)
Row = Mapping[Any, Any]
"""A row of a frame."""


@dataclass(frozen=True)
class Note:
    """A sentence that a reader needs; about one task and model, or about the whole."""

    text: str
    task: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class Comparison:
    """Studies compared. Rows are sorted by task, model, arm; fractions and bytes are raw."""

    studies: tuple[str, ...]
    metric: str
    """Metric that arms are compared by, such as `macro_f1`, on the test split."""
    baseline: str | None
    """Arm that every other is paired with; None: all pairs."""
    frames: Mapping[str, pandas.DataFrame]
    """The frame of each table, by the table's name; the table's file says what it holds."""
    flags: tuple[str, ...]
    """Reasons why the comparison is unfair; shown before everything else."""
    notes: tuple[Note, ...]
    """Sentences that help to read the tables."""
    description: str = ""
    """What the studies ask."""
    findings: tuple[str, ...] = ()
    """What must be known before any number: runs that collapsed, classes never predicted."""
    warnings: tuple[str, ...] = ()
    """Faults in the data that make numbers doubtful; shown first, with the flags."""

    def places(self) -> list[tuple[str, str]]:
        """List the tasks with their models, in the order of a report."""
        keys = self.frames["cells"][["task", "model"]].drop_duplicates()
        return sorted(keys.itertuples(index=False, name=None))

    def rows(self, table: str, task: str | None = None, model: str | None = None) -> list[Row]:
        """Return the rows of a frame: all, or those of one task and model."""
        frame = self.frames[table]
        if task is not None:
            frame = frame[(frame["task"] == task) & (frame["model"] == model)]
        return list(frame.to_dict("records"))

    def notes_on(self, task: str | None = None, model: str | None = None) -> list[str]:
        """Return the notes about one task and model; by default those about the whole."""
        return [note.text for note in self.notes if (note.task, note.model) == (task, model)]


def has_run(row: Row) -> bool:
    """Return whether a row of `cells` is of a cell of which some confirm run has ended."""
    return bool(row["n"] or row["failed_runs"])
