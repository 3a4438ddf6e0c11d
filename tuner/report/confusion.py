"""Count, from the predictions that a run has stored, which class was taken for which."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.report.wording import UNSEEN

if TYPE_CHECKING:
    import numpy
    import numpy.typing


@dataclass(frozen=True)
class Confusion:
    """How often each class was predicted as which, on the test split of one run."""

    labels: tuple[str, ...]
    counts: numpy.typing.NDArray[numpy.int64]
    """Of shape (labels, labels): true class by predicted class."""
    unseen: numpy.typing.NDArray[numpy.int64]
    """The same without the rows that train has."""
    truth: numpy.typing.NDArray[numpy.int64]
    """Each row's class, by its place in `labels`, of shape (rows,)."""
    guess: numpy.typing.NDArray[numpy.int64]
    """Each row's predicted class, of shape (rows,)."""
    seen: numpy.typing.NDArray[numpy.bool_]
    """Whether train has the row, of shape (rows,)."""

    @property
    def never_predicted(self) -> tuple[str, ...]:
        """Classes that rows have and that no row was predicted as."""
        has, said = self.counts.sum(axis=1), self.counts.sum(axis=0)
        return tuple(
            label
            for label, rows, guesses in zip(self.labels, has, said, strict=True)
            if rows and not guesses
        )

    @property
    def largest_share(self) -> float:
        """Share of the rows that were predicted as one class, the most frequent one."""
        return float(self.counts.sum(axis=0).max() / self.counts.sum())


def read_confusion(path: Path | None) -> Confusion | None:
    """Count a file of predictions; None where there is none."""
    if path is None:
        return None
    import numpy
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(path)
    names = file.schema_arrow.names
    wanted = [name for name in ("label", "prediction", "seen_in_train") if name in names]
    table = file.read(columns=wanted, use_threads=False)
    prefix = "probability/"
    labels = tuple(name.removeprefix(prefix) for name in names if name.startswith(prefix))
    number = {label: index for index, label in enumerate(labels)}
    truth = numpy.array([number[label] for label in table["label"].to_pylist()])
    guess = numpy.array([number[label] for label in table["prediction"].to_pylist()])
    seen = numpy.zeros(len(truth), dtype=bool)
    if "seen_in_train" in wanted:
        seen = table["seen_in_train"].to_numpy()
    size = len(labels)
    places = truth * size + guess
    counts = numpy.bincount(places, minlength=size * size).reshape(size, size)
    unseen = numpy.bincount(places[~seen], minlength=size * size).reshape(size, size)
    return Confusion(labels, counts, unseen, truth, guess, seen)


def row_error(pairs: Sequence[Sequence[Confusion | None]], metric: str) -> float:
    """Return the standard error over test rows of the mean difference of two arms.

    Args:
        pairs: The predictions of both arms, seed by seed.
        metric: Score; `unseen/` before it: of the rows that train does not have.

    Returns:
        NaN where predictions lack or are of other rows, and for scores that no rule is known for.
    """
    import numpy

    from tuner.report.stats import difference_row_error
    from tuner.report.stats.row_error import KNOWN_METRICS

    name = metric.removeprefix(UNSEEN)
    found = [table for both in pairs for table in both if table is not None]
    if name not in KNOWN_METRICS or len(found) < 2 * len(pairs):
        return math.nan
    first = found[0]
    kept = numpy.ones(len(first.truth), dtype=bool) if name == metric else ~first.seen
    alike = all(
        one.labels == first.labels
        and numpy.array_equal(one.truth, first.truth)
        and numpy.array_equal(one.seen, first.seen)
        for one in found
    )
    if not alike or not kept.any():
        return math.nan
    guesses = [table.guess[kept] for table in found]
    return difference_row_error(
        first.truth[kept], guesses[::2], guesses[1::2], classes=len(first.labels), metric=name
    )
