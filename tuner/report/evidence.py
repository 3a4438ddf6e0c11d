"""Read from the store what a comparison needs: runs, curves, predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.report.compared import Block, compared_blocks
from tuner.report.planned import Planned, planned_of
from tuner.trackers import Curve, Reader, RunRecord

if TYPE_CHECKING:
    import numpy
    import numpy.typing

_FILE = "predictions.parquet"
_CURVES = ("train/loss", "validation/loss")


@dataclass(frozen=True)
class Confusion:
    """How often each class was predicted as which, on the test split of one run."""

    labels: tuple[str, ...]
    counts: numpy.typing.NDArray[numpy.int64]
    """Of shape (labels, labels): true class by predicted class."""
    unseen: numpy.typing.NDArray[numpy.int64]
    """The same without the rows that train has."""


@dataclass(frozen=True)
class Evidence:
    """What is known of the studies that are compared."""

    studies: tuple[str, ...]
    records: tuple[RunRecord, ...]
    """All runs of the studies."""
    metric: str
    """The studies' own metric."""
    curves: tuple[Curve, ...] = ()
    """Of the confirm runs that are compared."""
    confusions: Mapping[str, Confusion] = field(default_factory=dict)
    """By run id; runs without stored predictions are missing."""
    planned: Mapping[str, Planned] = field(default_factory=dict)
    """By study."""

    def blocks(self) -> list[Block]:
        """Choose what is compared."""
        return compared_blocks(self.records)


def gather(reader: Reader, studies: Sequence[str], *, metric: str | None = None) -> Evidence:
    """Read what a comparison of these studies needs.

    Args:
        reader: The store.
        studies: Names of studies that it holds.
        metric: Metric to compare by; by default that of the latest confirm run.
    """
    records = tuple(record for study in studies for record in reader.runs(study))
    metric = _own_metric(records) if metric is None else metric
    compared = [
        run.run_id
        for block in compared_blocks(records)
        for cell in block.cells
        for run in cell.finished
    ]
    names = (*_CURVES, f"validation/{metric}")
    found = {run_id: _confusion(reader.artifact(run_id, _FILE)) for run_id in compared}
    return Evidence(
        studies=tuple(studies),
        records=records,
        metric=metric,
        curves=tuple(reader.curves(compared, tuple(dict.fromkeys(names)))),
        confusions={run_id: table for run_id, table in found.items() if table is not None},
        planned={study: planned_of(reader.study_yaml(study)) for study in studies},
    )


def _own_metric(records: Sequence[RunRecord]) -> str:
    confirm = [record for record in records if record.group.phase == "confirm"]
    last = max(confirm or records, key=lambda run: (run.start, run.run_id), default=None)
    return last.params.get("metric", "macro_f1") if last else "macro_f1"


def _confusion(path: Path | None) -> Confusion | None:
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
