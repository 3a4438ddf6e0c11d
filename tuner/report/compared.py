"""Choose the runs that are compared: each cell's latest confirm runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.trackers import RunRecord

CellName = tuple[str, str, str]
"""Task, model, arm."""


@dataclass(frozen=True)
class ComparedCell:
    """The confirm runs of one cell."""

    task: str
    model: str
    arm: str
    finished: tuple[RunRecord, ...]
    """One a digest, in the order of their seeds."""
    failed: tuple[RunRecord, ...]
    """Failed runs whose digest was never finished, one a digest."""
    left_out: int
    """Confirm runs of older definitions of this cell, or of a trial that is no longer its best."""


def compared_cells(records: Sequence[RunRecord]) -> list[ComparedCell]:
    """Return the cells to compare, in the order of task, model and arm."""
    cells: defaultdict[CellName, list[RunRecord]] = defaultdict(list)
    # Sorted first, so that whatever is computed from them does not depend on the given order.
    for record in sorted(records, key=_order):
        if record.group.phase == "confirm":
            group = record.group
            cells[group.task, group.model, group.arm].append(record)
    return [_compared(name, found) for name, found in sorted(cells.items())]


def _compared(name: CellName, records: Sequence[RunRecord]) -> ComparedCell:
    latest = max(records, key=lambda record: (record.start, record.run_id)).group
    current = [record for record in records if record.group == latest]
    # A digest may be there twice, after a resumed study: the later one stands.
    finished = {record.digest: record for record in current if record.state == "finished"}
    failed = {
        record.digest: record
        for record in current
        if record.state == "failed" and record.digest not in finished
    }
    return ComparedCell(
        *name,
        finished=tuple(finished.values()),
        failed=tuple(failed.values()),
        left_out=len(records) - len(current),
    )


def _order(record: RunRecord) -> tuple[int, int, int, float, str]:
    seeds = record.seeds
    return (seeds.init, seeds.order, seeds.data, record.start, record.run_id)
