"""Tabulate the classes: scores of each, and which was taken for which."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tuner.report.comparison import Comparison, Row
from tuner.report.confusion import Confusion
from tuner.report.contracts import Basis, ReportTable, plain
from tuner.report.selection import ComparedCell
from tuner.report.view import (
    PAGE,
    Field,
    Heading,
    TableCell,
    TableView,
    headings_of,
    rows_of,
    score,
    word,
)

if TYPE_CHECKING:
    import pandas

_PREFIX = "f1/"
_COLUMNS = ("task", "model", "arm", "label", "predicted", "rows", "share")


class ClassesTable(ReportTable):
    """A row for each arm and pair of classes: how often one is predicted as the other.

    label (true class), predicted, rows (test rows, summed over the confirm runs that have stored
    their predictions), share (of all rows of the true class; 0 where it has none).
    """

    ORDER: ClassVar = 95
    EXPORTED_AS: ClassVar = "confusion"

    kind: Literal["classes"] = "classes"
    """File name of the table."""

    def frame(self, basis: Basis) -> pandas.DataFrame:
        """Sum the confusion matrices of every cell's finished confirm runs."""
        cells = [cell for block in basis.blocks for cell in block.begun]
        known = basis.evidence.confusions
        return plain((row for cell in cells for row in _rows(cell, known)), _COLUMNS)

    def views(self, comparison: Comparison) -> Iterator[TableView]:
        """Show the F1 of every class, an arm a row."""
        for task, model in comparison.places():
            rows = [
                row
                for row in comparison.rows("cells", task, model)
                if row["metric"].startswith(_PREFIX)
            ]
            arms: dict[str, dict[str, Row]] = {}
            for row in rows:
                arms.setdefault(row["arm"], {})[row["metric"]] = row
            metrics = list(dict.fromkeys(row["metric"] for row in rows))
            if not metrics:
                continue
            fields: list[Field] = [
                (Heading("arm", numeric=False), lambda found: word(_first(found)["arm"]))
            ]
            fields += [
                (Heading(name.removeprefix(_PREFIX)), partial(_score, name)) for name in metrics
            ]
            yield TableView(
                "F1 of each class: mean ± standard deviation over the seeds",
                headings_of(fields),
                rows_of(fields, arms.values()),
                section="costs",
                task=task,
                model=model,
                order=-1,
                shown_in=PAGE,
            )


def _first(found: Mapping[str, Row]) -> Row:
    return next(iter(found.values()))


def _score(metric: str, found: Mapping[str, Row]) -> TableCell:
    row = found.get(metric)
    return word(None) if row is None else score(row["mean"], metric, spread=row["std"])


def _rows(cell: ComparedCell, known: Mapping[str, Confusion]) -> Iterator[dict[str, Any]]:
    tables = [known[run.run_id] for run in cell.finished if run.run_id in known]
    if not tables or len({table.labels for table in tables}) > 1:
        return
    counts = functools.reduce(operator.add, (table.counts for table in tables))
    for number, label in enumerate(tables[0].labels):
        total = counts[number].sum()
        for place, predicted in enumerate(tables[0].labels):
            rows = int(counts[number, place])
            share = rows / total if total else 0.0
            found = (cell.task, cell.model, cell.arm, label, predicted, rows, share)
            yield dict(zip(_COLUMNS, found, strict=True))
