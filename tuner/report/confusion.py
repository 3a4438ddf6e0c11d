"""Count, from the predictions that a run has stored, which class was taken for which."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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
    return Confusion(labels, counts, unseen)
