"""Show the arms of several tasks in one table: difference to the baseline, and one word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar, Literal

from tuner.report.answer import asked_pairs
from tuner.report.comparison import Comparison, Row
from tuner.report.contracts import ReportTable
from tuner.report.view import (
    Field,
    Heading,
    TableCell,
    TableView,
    headings_of,
    number,
    rows_of,
    word,
)
from tuner.report.wording import NONE, higher_is_better, interval_text, missing, title, value_text

_Places = Sequence[tuple[str, str]]
_WORDS = (
    ("better", "better"),
    ("worse", "worse"),
    ("equivalent", "equivalent"),
    ("not worse", "not worse"),
    ("not better", "not better"),
)


class MatrixTable(ReportTable):
    """The arms by the tasks, where there are several: made from the frames `cells` and `pairs`."""

    ORDER: ClassVar = 1

    kind: Literal["matrix"] = "matrix"
    """File name of the table."""

    def views(self, comparison: Comparison) -> Iterator[TableView]:
        """Show an arm a row, and a task and model a column."""
        places = comparison.places()
        if len(places) < 2:
            return
        pairs = {
            (place, row["arm_a"]): row
            for place in places
            for row in asked_pairs(comparison, *place)
        }
        found = [row for row in comparison.rows("cells") if row["metric"] == comparison.metric]
        cells = {((row["task"], row["model"]), row["arm"]): row for row in found}
        arms = list(dict.fromkeys(arm for _, arm in cells))
        models = {model for _, model in places}
        other = comparison.baseline or "the best arm"
        fields: list[Field] = [(Heading("arm", numeric=False), word)]
        fields += [
            (
                Heading(
                    place[0] if len(models) == 1 else f"{place[0]} · {place[1]}",
                    f"difference to {other} in points, and what may be said of it",
                    numeric=False,
                ),
                partial(_cell, place, pairs=pairs, cells=cells),
            )
            for place in places
        ]
        yield TableView(
            f"Test {title(comparison.metric)} against {other}, task by task",
            headings_of(fields),
            rows_of(fields, _in_order(arms, cells, comparison)),
            section="first",
            order=-2,
        )


def _in_order(
    arms: Sequence[str], cells: dict[tuple[tuple[str, str], str], Row], comparison: Comparison
) -> list[str]:
    """Return the arms by their mean over the tasks, the best first; those that lack one last."""
    sign = -1 if higher_is_better(comparison.metric) else 1
    places = comparison.places()

    def place_of(arm: str) -> tuple[int, float]:
        rows = [row for place in places if (row := cells.get((place, arm))) is not None]
        means = [row["mean"] for row in rows if not missing(row["mean"])]
        return len(places) - len(means), sign * sum(means) / (len(means) or 1)

    return sorted(arms, key=place_of)


def _cell(
    place: tuple[str, str],
    arm: str,
    *,
    pairs: dict[tuple[tuple[str, str], str], Row],
    cells: dict[tuple[tuple[str, str], str], Row],
) -> TableCell:
    own, row = cells.get((place, arm)), pairs.get((place, arm))
    if own is None or missing(own["mean"]):
        return TableCell(NONE)
    if row is None:
        return TableCell(value_text(own["mean"], own["metric"]))
    if missing(row["mean_difference"]):
        return TableCell("no common seed")
    metric = row["metric"]
    detail = interval_text(row["ci_low"], row["ci_high"], metric, signed=True)
    detail = "" if detail == NONE else detail
    text = f"{value_text(row['mean_difference'], metric, signed=True)} {word_of(row['verdict'])}"
    return TableCell(text, number(text, row["mean_difference"]).value, detail)


def word_of(verdict: object) -> str:
    """Return a verdict in one word, or two."""
    text = str(verdict)
    return next((short for begin, short in _WORDS if text.startswith(begin)), "open")
