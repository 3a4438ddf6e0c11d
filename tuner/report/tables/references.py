"""Set published numbers beside ours, with the difference and its standard error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tuner.report.comparison import Comparison, Row
from tuner.report.contracts import Basis, ReportTable, plain
from tuner.report.question import Published
from tuner.report.view import (
    PAGE,
    TEXT,
    WIDE,
    Field,
    Heading,
    TableCell,
    TableView,
    cell_of,
    count,
    difference,
    headings_of,
    rows_of,
    score,
    word,
)
from tuner.report.wording import title, value_text

if TYPE_CHECKING:
    import pandas

_COLUMNS: tuple[str, ...] = (
    "source",
    "task",
    "model",
    "method",
    "metric",
    "arm",
    "published_mean",
)
_COLUMNS += ("published_std", "published_n", "mean", "std", "n", "difference", "standard_error")
_ALIASES = {"adapter": "bottleneck", "scibert_scivocab_uncased": "scibert"}
"""Names that papers use, and ours."""


class ReferencesTable(ReportTable):
    """Published numbers beside ours, joined by task, model, method and metric.

    difference is ours - theirs; standard_error is that of a difference of independent means.
    """

    ORDER: ClassVar = 100

    kind: Literal["references"] = "references"
    """File name of the table."""

    def frame(self, basis: Basis) -> pandas.DataFrame:
        """Join published rows with our cells.

        The standard error of the difference is sqrt(s1^2/n1 + s2^2/n2), of independent means.
        """
        ours = basis.frames["cells"].to_dict("records")
        rows = [
            _row(theirs, cell)
            for theirs in basis.question.published
            for cell in ours
            if _same(theirs, cell) and cell["n"] > 0
        ]
        return plain(rows, _COLUMNS)

    def views(self, comparison: Comparison) -> Iterator[TableView]:
        """Show them where some are given; in text each mean has its number of seeds with it."""
        yield TableView(
            "Published numbers beside ours",
            headings_of(_FIELDS),
            rows_of(_FIELDS, comparison.rows("references")),
            heading="Beside published numbers",
            shown_in=WIDE,
        )


def _mean(who: str) -> Callable[[Row], TableCell]:
    return lambda row: score(row[f"{who}mean"], row["metric"], spread=row[f"{who}std"])


def _mean_and_seeds(who: str) -> Callable[[Row], TableCell]:
    def cell(row: Row) -> TableCell:
        mean, std = (value_text(row[f"{who}{name}"], row["metric"]) for name in ("mean", "std"))
        return word(f"{mean} ± {std} ({row[f'{who}n']})")

    return cell


_FIELDS: tuple[Field, ...] = (
    *(
        (Heading(name, numeric=False), cell_of(name, word))
        for name in ("source", "task", "model", "method")
    ),
    (Heading("metric", numeric=False), lambda row: word(title(row["metric"]))),
    (Heading("arm", numeric=False, shown_in=PAGE), cell_of("arm", word)),
    (Heading("published", "mean ± standard deviation", shown_in=PAGE), _mean("published_")),
    (Heading("n", "their seeds", shown_in=PAGE), cell_of("published_n", count)),
    (Heading("published", shown_in=TEXT), _mean_and_seeds("published_")),
    (Heading("arm", numeric=False, shown_in=TEXT), cell_of("arm", word)),
    (Heading("ours", shown_in=TEXT), _mean_and_seeds("")),
    (Heading("ours", "mean ± standard deviation", shown_in=PAGE), _mean("")),
    (Heading("n", "our seeds", shown_in=PAGE), cell_of("n", count)),
    (
        Heading("difference", "ours − theirs"),  # noqa: RUF001  # a minus sign
        lambda row: difference(row["difference"], row["metric"]),
    ),
    (
        Heading("standard error", "of the difference", spelled="its standard error"),
        lambda row: score(row["standard_error"], row["metric"]),
    ),
)


def _same(theirs: Published, cell: dict[Any, Any]) -> bool:
    names = {cell["arm"], cell["method"]}
    return (
        theirs.task == cell["task"]
        and theirs.metric == cell["metric"]
        and _plain_name(theirs.model) == _plain_name(cell["model"])
        and bool(names & {theirs.method, _ALIASES.get(theirs.method, theirs.method)})
    )


def _plain_name(model: str) -> str:
    """Return a model's name without its owner."""
    name = model.rpartition("/")[2].lower()
    return _ALIASES.get(name, name)


def _row(theirs: Published, cell: dict[Any, Any]) -> dict[str, Any]:
    spread, count = cell["std"], cell["n"]
    error = math.sqrt(theirs.std**2 / theirs.seeds + spread**2 / count)  # NaN from one run
    found: Sequence[Any] = (theirs.source, theirs.task, theirs.model, theirs.method)
    found = (*found, theirs.metric, cell["arm"], theirs.mean, theirs.std, theirs.seeds)
    found = (*found, cell["mean"], spread, count, cell["mean"] - theirs.mean, error)
    return dict(zip(_COLUMNS, found, strict=True))
