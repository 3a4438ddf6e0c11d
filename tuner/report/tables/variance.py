"""Share the spread over seeds out among init, order and data, where a study separates them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tuner.report.comparison import Comparison, Row
from tuner.report.contracts import Basis, ReportTable, plain
from tuner.report.selection import ComparedCell
from tuner.report.tables._columns import PLACE
from tuner.report.view import (
    TEXT,
    WIDE,
    Field,
    Heading,
    TableCell,
    TableView,
    cell_of,
    headings_of,
    percent,
    rows_of,
    score,
    word,
)
from tuner.report.wording import missing

if TYPE_CHECKING:
    import pandas

_COLUMNS = ("task", "model", "arm", "source", "variance", "share")


class VarianceTable(ReportTable):
    """The variance that each source of randomness brings to the test score, and its share.

    source is init, order, data, several of them joined by +, or rest.
    """

    ORDER: ClassVar = 80

    kind: Literal["variance"] = "variance"
    """File name of the table."""

    def frame(self, basis: Basis) -> pandas.DataFrame:
        """Estimate the variances of each cell whose runs separate their seeds."""
        cells = [cell for block in basis.blocks for cell in block.cells]
        return plain((row for cell in cells for row in _rows(cell, basis.metric)), _COLUMNS)

    def views(self, comparison: Comparison) -> Iterator[TableView]:
        """Show them where some study separates its seeds."""

        def spread(row: Row) -> TableCell:
            variance = row["variance"]
            return score(None if missing(variance) else variance**0.5, comparison.metric)

        source = "the seed that varies; rest: what no seed explains"
        fields: tuple[Field, ...] = (
            *PLACE,
            (
                Heading("cell", numeric=False, shown_in=TEXT),
                lambda row: word(f"{row['task']} · {row['model']} · {row['arm']}"),
            ),
            (Heading("source", source, numeric=False), cell_of("source", word)),
            (Heading("standard deviation", "of test scores, due to this source"), spread),
            (
                Heading("share", "of the variance", spelled="share of the variance"),
                cell_of("share", percent),
            ),
        )
        yield TableView(
            "Where the spread between seeds comes from",
            headings_of(fields),
            rows_of(fields, comparison.rows("variance")),
            heading="Where the spread comes from",
            order=1,
            shown_in=WIDE,
        )


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
