"""Judge arms over several tasks, and average what they cost there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tuner.report.comparison import LEVEL, Comparison, Row
from tuner.report.contracts import Basis, ReportTable, plain
from tuner.report.view import (
    EVERYWHERE,
    TERMINAL,
    TEXT,
    Field,
    Heading,
    TableCell,
    TableView,
    cell_of,
    count,
    difference,
    headings_of,
    percent,
    rows_of,
    word,
)
from tuner.report.wording import (
    NONE,
    higher_is_better,
    is_loss,
    missing,
    value_text,
    verdict_text,
)

if TYPE_CHECKING:
    import pandas

    from tuner.report.stats import TaskDifference

_COLUMNS: tuple[str, ...] = ("model", "arm_a", "arm_b", "metric", "tasks", "scope", "margin")
_COLUMNS += ("mean_difference", "ci_low", "ci_high", "level", "freedom", "verdict", "each")
_COLUMNS += ("memory_ratio", "seconds_ratio")
_MODEL: Field = (Heading("model", numeric=False), cell_of("model", word))
THESE, LIKE = "these tasks", "tasks like them"


class OverTasksTable(ReportTable):
    """A row or two for each pair of arms that is asked about and shares two tasks or more.

    scope: `these tasks`, whose seeds and test rows are samples; or `tasks like them`, from five
    tasks on, where the tasks are one. mean_difference (every task weighs the same), ci_low and
    ci_high at the level (5%, divided by the pairs), freedom (degrees), verdict, each (the
    difference on each task, in words), memory_ratio and seconds_ratio (geometric means over the
    tasks of the first arm's mean over the second's).
    """

    ORDER: ClassVar = 55

    kind: Literal["over_tasks"] = "over_tasks"
    """File name of the table."""

    def frame(self, basis: Basis) -> pandas.DataFrame:
        """Judge the pairs over the tasks of each model."""
        pairs, cells = (basis.frames[name].to_dict("records") for name in ("pairs", "cells"))
        found: dict[tuple[str, str, str], list[Row]] = {}
        for row in pairs:
            if row["metric"] == basis.metric and row["asked"] and not missing(row["ci_low"]):
                found.setdefault((row["model"], row["arm_a"], row["arm_b"]), []).append(row)
        several = {pair: rows for pair, rows in found.items() if len(rows) > 1}
        costs = {
            (row["task"], row["model"], row["arm"]): row
            for row in cells
            if row["metric"] == basis.metric
        }
        level = LEVEL / max(1, len(several))
        rows = [row for some in several.values() for row in _rows(some, costs, level)]
        return plain(rows, _COLUMNS)

    def views(self, comparison: Comparison) -> Iterator[TableView]:
        """Show the pairs over tasks."""
        metric = comparison.metric
        rows = comparison.rows("over_tasks")
        if not rows:
            return
        fields: tuple[Field, ...] = (
            (Heading("pair", numeric=False), lambda row: word(_pair(row))),
            *((_MODEL,) if len({row["model"] for row in rows}) > 1 else ()),
            (Heading("on", "what the sentence is about", numeric=False), cell_of("scope", word)),
            (Heading("tasks"), cell_of("tasks", count)),
            (
                Heading("difference", "mean over the tasks, with its interval"),
                lambda row: difference(
                    row["mean_difference"], metric, (row["ci_low"], row["ci_high"])
                ),
            ),
            (Heading("verdict", numeric=False), lambda row: word(verdict_text(row))),
            (
                Heading("each task", "difference on each task", numeric=False, shown_in=TEXT),
                cell_of("each", word),
            ),
            (
                Heading("memory", "geometric mean of ratios of mean peaks"),
                cell_of("memory_ratio", _share),
            ),
            (
                Heading("time", "geometric mean of ratios of mean seconds"),
                cell_of("seconds_ratio", _share),
            ),
        )
        yield TableView(
            "Over tasks: first arm against second",
            headings_of(fields),
            rows_of(fields, rows),
            section="first",
            order=-1,
            shown_in=EVERYWHERE - TERMINAL,  # whose answer says it all
        )


def _pair(row: Row) -> str:
    return f"{row['arm_a']} − {row['arm_b']}"  # noqa: RUF001  # a minus sign


def _share(value: Any) -> TableCell:
    return TableCell(NONE) if missing(value) else percent(value)


@dataclass(frozen=True)
class _Ratios:
    """Costs of the first arm as shares of the second's, over the tasks."""

    memory: float | None
    seconds: float | None


def _rows(
    rows: Sequence[Row], costs: Mapping[tuple[str, str, str], Row], level: float
) -> Iterator[dict[str, Any]]:
    from tuner.report.stats import on_tasks_like_them, on_these_tasks

    first = rows[0]
    metric, margin = first["metric"], first["margin"]
    sign = 1 if higher_is_better(metric) else -1
    tasks = [_of_task(row, sign) for row in rows]
    collapsed = any(row["collapsed_a"] or row["collapsed_b"] for row in rows)
    ratios = _ratios(rows, costs)
    each = ", ".join(
        f"{row['task']} {value_text(row['mean_difference'], metric, signed=True)}" for row in rows
    )
    for scope, judge in ((THESE, on_these_tasks), (LIKE, on_tasks_like_them)):
        found = judge(tasks, margin=margin, level=level, collapsed=collapsed)
        if found is None:
            continue
        low, high = sorted((sign * found.low, sign * found.high))
        values: tuple[Any, ...] = (
            first["model"],
            first["arm_a"],
            first["arm_b"],
            metric,
            len(rows),
            scope,
        )
        values += (margin, sign * found.mean, low, high, level, found.freedom, found.kind, each)
        values += (ratios.memory, ratios.seconds)
        yield dict(zip(_COLUMNS, values, strict=True))


def _of_task(row: Row, sign: int) -> TaskDifference:
    from tuner.report.stats import TaskDifference

    margin = 0.0 if is_loss(row["metric"]) else row["margin"]
    inside = -margin < row["ci_low"] and row["ci_high"] < margin
    decided = str(row["verdict"]).startswith(("better", "worse"))
    return TaskDifference(
        mean=sign * row["mean_difference"],
        std=row["std_difference"],
        n=int(row["n"]),
        row_error=float("nan") if missing(row["row_error"]) else row["row_error"],
        apart=decided and not inside,
    )


def _ratios(rows: Sequence[Row], costs: Mapping[tuple[str, str, str], Row]) -> _Ratios:
    from tuner.report.stats import geometric_mean

    found: list[float | None] = []
    for name in ("peak_memory_mean_bytes", "seconds"):
        pairs = [
            [costs[row["task"], row["model"], row[side]][name] for side in ("arm_a", "arm_b")]
            for row in rows
        ]
        known = all(not missing(value) and value > 0 for pair in pairs for value in pair)
        found.append(geometric_mean([a / b for a, b in pairs]) if known else None)
    return _Ratios(*found)
