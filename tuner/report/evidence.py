"""Read from the store what a comparison needs: runs, curves, predictions and the question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tuner.report.confusion import Confusion, read_confusion
from tuner.report.planned import PlannedCell, latest_cells
from tuner.report.selection import Selection, select
from tuner.store import Curve, Reader, RunRecord, run_page

_FILE = "predictions.parquet"
_CURVES = ("train/loss", "validation/loss")


@dataclass(frozen=True)
class OtherDefinition:
    """A definition that a study was run with, other than the one that is asked for."""

    id: str
    when: str
    """When it was last run, for people."""
    fingerprints: frozenset[str]
    """Of its cells."""


@dataclass(frozen=True)
class Asked:
    """A study that a report is asked for."""

    study: str
    """Its name."""
    cells: tuple[PlannedCell, ...] | None = None
    """As it is defined; None where that is not known: the latest confirm runs count."""
    metric: str = ""
    """Its metric, where its definition is known."""
    description: str = ""
    """What it asks, in a sentence."""
    baseline: str | None = None
    """Arm that it compares every other with; None: all pairs."""
    margin: float = 0.01
    """Difference of scores up to which it takes arms to be equally good."""
    remarks: tuple[str, ...] = ()
    """Sentences on where its definition was found."""
    doubts: tuple[str, ...] = ()
    """Reasons to doubt its numbers, each without a full stop."""
    others: tuple[OtherDefinition, ...] = ()
    """The last one first."""


@dataclass(frozen=True)
class Evidence:
    """The records of the studies that are compared."""

    studies: tuple[str, ...]
    records: tuple[RunRecord, ...]
    """All runs of the studies."""
    metric: str
    """The studies' own metric."""
    description: str = ""
    """What the studies ask."""
    baseline: str | None = None
    """Arm that the studies compare every other with; None: all pairs."""
    margin: float = 0.01
    """Difference of scores up to which the studies take arms to be equally good."""
    curves: tuple[Curve, ...] = ()
    """Of the confirm runs that are compared."""
    confusions: Mapping[str, Confusion] = field(default_factory=dict)
    """By run id; runs without stored predictions are missing."""
    planned: tuple[PlannedCell, ...] | None = None
    """The cells of the studies; None where their definitions are not known."""
    remarks: tuple[str, ...] = ()
    """Sentences on where the definitions were found."""
    doubts: tuple[str, ...] = ()
    """Reasons to doubt the numbers, other than the warnings in the runs' facts."""
    others: Mapping[str, Sequence[OtherDefinition]] = field(default_factory=dict)
    """Other definitions that the store keeps, by study, the last one first."""
    pages: Mapping[str, str] = field(default_factory=dict)
    """Addresses of MLflow's pages of the studies, by study; those without one are missing."""

    def run_pages(self) -> dict[str, str]:
        """Return the addresses of MLflow's pages of runs and their parents, by identifier."""
        return {
            run_id: run_page(self.pages[record.group.study], run_id)
            for record in self.records
            if record.group.study in self.pages
            for run_id in (record.parent_id, record.run_id)
        }

    def select(self) -> Selection:
        """Choose the runs to compare."""
        planned = latest_cells(self.records) if self.planned is None else self.planned
        return select(self.records, planned)


def gather(reader: Reader, studies: Sequence[Asked], *, metric: str | None = None) -> Evidence:
    """Read the records that a comparison of studies needs.

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
    found = {run_id: read_confusion(reader.artifact(run_id, _FILE)) for run_id in compared}
    return Evidence(
        studies=tuple(asked.study for asked in studies),
        records=records,
        metric=metric,
        description=" ".join(dict.fromkeys(filter(None, (a.description for a in studies)))),
        baseline=studies[0].baseline if len({a.baseline for a in studies}) == 1 else None,
        margin=max((asked.margin for asked in studies), default=0.01),
        curves=tuple(reader.curves(compared, tuple(dict.fromkeys(names)))),
        confusions={run_id: table for run_id, table in found.items() if table is not None},
        planned=planned,
        remarks=tuple(remark for asked in studies for remark in asked.remarks),
        doubts=tuple(doubt for asked in studies for doubt in asked.doubts),
        others={asked.study: asked.others for asked in studies},
        pages={a.study: page for a in studies if (page := reader.page_of(a.study))},
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
