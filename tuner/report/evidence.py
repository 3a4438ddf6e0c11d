"""Read from the store what a comparison needs: runs, curves, predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.report.compared import Selection, select
from tuner.report.planned import PlannedCell, latest_cells
from tuner.tracking import Curve, Reader, RunRecord

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
class OtherDefinition:
    """A definition that a study was run with, beside the one that is asked about."""

    id: str
    when: str
    """When it was last run, for people."""
    fingerprints: frozenset[str]
    """Of its cells."""


@dataclass(frozen=True)
class Asked:
    """A study that is asked about."""

    study: str
    """Its name."""
    cells: tuple[PlannedCell, ...] | None = None
    """As it is defined; None where that is not known: each cell's latest confirm runs count."""
    metric: str = ""
    """Its metric, where its definition is known."""
    said: tuple[str, ...] = ()
    """How its definition is known, in sentences."""
    doubts: tuple[str, ...] = ()
    """What makes its numbers doubtful, each without a full stop."""
    others: tuple[OtherDefinition, ...] = ()
    """The last one first."""


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
    planned: tuple[PlannedCell, ...] | None = None
    """The cells of the studies; None where their definitions are not known."""
    said: tuple[str, ...] = ()
    """Sentences on how the definitions are known."""
    doubts: tuple[str, ...] = ()
    """What makes the numbers doubtful, beside what the runs say of their data."""
    others: Mapping[str, Sequence[OtherDefinition]] = field(default_factory=dict)
    """Other definitions that the store keeps, by study, the last one first."""

    def select(self) -> Selection:
        """Choose what is compared."""
        planned = latest_cells(self.records) if self.planned is None else self.planned
        return select(self.records, planned)


def gather(reader: Reader, studies: Sequence[Asked], *, metric: str | None = None) -> Evidence:
    """Read what a comparison of these studies needs.

    Args:
        reader: The store.
        studies: Studies that it holds, as they are defined.
        metric: Metric to compare by; by default that of the study whose run is the latest.
    """
    records = tuple(record for asked in studies for record in reader.runs(asked.study))
    planned = tuple(cell for asked in studies for cell in _cells(asked, records))
    blocks = select(records, planned).blocks
    runs = [run for block in blocks for cell in block.cells for run in cell.finished]
    metric = _own_metric(studies, runs) if metric is None else metric
    compared = [run.run_id for run in runs]
    names = (*_CURVES, f"validation/{metric}")
    found = {run_id: _confusion(reader.artifact(run_id, _FILE)) for run_id in compared}
    return Evidence(
        studies=tuple(asked.study for asked in studies),
        records=records,
        metric=metric,
        curves=tuple(reader.curves(compared, tuple(dict.fromkeys(names)))),
        confusions={run_id: table for run_id, table in found.items() if table is not None},
        planned=planned,
        said=tuple(sentence for asked in studies for sentence in asked.said),
        doubts=tuple(doubt for asked in studies for doubt in asked.doubts),
        others={asked.study: asked.others for asked in studies},
    )


def _cells(asked: Asked, records: Sequence[RunRecord]) -> tuple[PlannedCell, ...]:
    if asked.cells is not None:
        return asked.cells
    return latest_cells([record for record in records if record.group.study == asked.study])


def _own_metric(studies: Sequence[Asked], runs: Sequence[RunRecord]) -> str:
    last = max(runs, key=lambda run: (run.start, run.run_id), default=None)
    known = {asked.study: asked.metric for asked in studies}
    if last is None:
        return studies[0].metric or "macro_f1"
    return known[last.group.study] or last.params.get("metric", "macro_f1")


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
