"""Hold a finished comparison: frames of numbers, and notes on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

    from tuner.report.best import BestConfiguration

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


def say_once(
    sentences: Iterable[tuple[tuple[str, str], str]], places: int
) -> Iterator[tuple[str, str, tuple[str, str] | None]]:
    """Join what is said alike of several tasks and models.

    Args:
        sentences: Task and model, and what is said of them.
        places: How many tasks and models there are in all.

    Yields:
        Where it holds, in words, and the sentence; and task and model, if they are the only ones.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for place, text in sentences:
        found.setdefault(text, []).append(place)
    for text, here in found.items():
        where = ", ".join(" · ".join(place) for place in here)
        if len(here) == 1:
            yield (where if places > 1 else ""), text, here[0]
        else:
            yield ("everywhere" if len(here) == places else where), text, None


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
    pages: Mapping[str, str] = field(default_factory=dict)
    """Addresses of MLflow's pages of runs, by run id; where MLflow has none, they are missing."""
    best: Mapping[tuple[str, str], BestConfiguration] = field(default_factory=dict)
    """The best arm's configuration, by task and model."""

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
