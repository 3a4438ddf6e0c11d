"""Share the spread over seeds out among init, order and data, where a study separates them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tuner.report.selection import Block, ComparedCell
from tuner.report.tables.frame import plain

if TYPE_CHECKING:
    import pandas

_COLUMNS = ("task", "model", "arm", "source", "variance", "share")


def variance_frame(blocks: Sequence[Block], *, metric: str) -> pandas.DataFrame:
    """Estimate the variance that each source of randomness brings to the test score."""
    rows = [row for block in blocks for cell in block.cells for row in _rows(cell, metric)]
    return plain(rows, _COLUMNS)


def _rows(cell: ComparedCell, metric: str) -> Iterator[dict[str, Any]]:
    from tuner.report.stats import variance_components

    name = f"test/{metric}"
    runs = [run for run in cell.finished if name in run.metrics]
    if len(runs) < 3:
        return
    seeds = {
        source: [getattr(run.seeds, source) for run in runs]
        for source in ("init", "order", "data")
    }
    found = variance_components([run.metrics[name] for run in runs], seeds)
    total = sum(found.values())
    if len(found) < 2 or not total:
        return
    for source, variance in found.items():
        values = (cell.task, cell.model, cell.arm, source, variance, variance / total)
        yield dict(zip(_COLUMNS, values, strict=True))
