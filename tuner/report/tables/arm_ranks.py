"""Rank arms across tasks: mean rank, Friedman's test, the critical difference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tuner.report.comparison import LEVEL, Comparison
from tuner.report.contracts import Basis, ReportTable, plain
from tuner.report.selection import Block
from tuner.report.view import (
    PAGE,
    Field,
    Heading,
    TableView,
    cell_of,
    count,
    decimal,
    headings_of,
    p_value,
    rows_of,
    word,
)
from tuner.report.wording import higher_is_better, missing, p_text, title

if TYPE_CHECKING:
    import pandas

_LEAST_TASKS = 5
"""Tasks from which on Friedman's test and its picture are shown."""
_COLUMNS = ("model", "tasks", "arm", "mean_rank", "friedman_p", "critical_difference")


class ArmRanksTable(ReportTable):
    """The arms that every task has, ranked, for each model with two tasks and two arms or more.

    tasks (their number), mean_rank (1 is best), friedman_p and critical_difference (of mean
    ranks), the last two empty below five tasks.
    """

    ORDER: ClassVar = 50
    EXPORTED_AS: ClassVar = "ranks"

    kind: Literal["arm_ranks"] = "arm_ranks"
    """File name of the table."""

    def frame(self, basis: Basis) -> pandas.DataFrame:
        """Rank the arms that every task has."""
        by_model: defaultdict[str, list[Mapping[str, float]]] = defaultdict(list)
        for block in basis.blocks:
            means = _means(block, basis.metric)
            if means:
                by_model[block.model].append(means)
        higher = higher_is_better(basis.metric)
        rows = [
            row
            for model, tasks in sorted(by_model.items())
            for row in _model_rows(model, tasks, higher)
        ]
        return plain(rows, _COLUMNS)

    def views(self, comparison: Comparison) -> Iterator[TableView]:
        """Show the ranks on the page; a note says them in the other forms."""
        by_mean = f"by mean test {title(comparison.metric)}; 1 is best"
        fields: tuple[Field, ...] = (
            (Heading("model", numeric=False), cell_of("model", word)),
            (Heading("arm", numeric=False), cell_of("arm", word)),
            (
                Heading("tasks", "that all of the model's arms have"),
                cell_of("tasks", count),
            ),
            (
                Heading("mean rank", by_mean),
                cell_of("mean_rank", decimal),
            ),
            (
                Heading("Friedman p", "of the test that all arms rank alike"),
                cell_of("friedman_p", p_value),
            ),
            (
                Heading("critical difference", "of mean ranks, Nemenyi's test at the 5% level"),
                cell_of("critical_difference", decimal),
            ),
        )
        rows = rows_of(fields, comparison.rows("ranks"))
        yield TableView("Ranks across tasks", headings_of(fields), rows, shown_in=PAGE)


def rank_notes(ranks: pandas.DataFrame, *, metric: str) -> Iterator[str]:
    """Yield a sentence for each model on its arms' ranks, with a test from five tasks on."""
    for model, rows in ranks.groupby("model"):
        order = rows.sort_values(["mean_rank", "arm"])
        shown = ", ".join(
            f"{arm} {rank:.2f}" for arm, rank in zip(order["arm"], order["mean_rank"], strict=True)
        )
        tasks = int(rows["tasks"].iloc[0])
        text = (
            f"Mean rank in {title(metric)} over {tasks} tasks with {model} (1 is best): {shown}."
        )
        p, difference = rows["friedman_p"].iloc[0], rows["critical_difference"].iloc[0]
        if missing(difference):
            yield f"{text} Friedman's test and its picture need {_LEAST_TASKS} tasks or more."
        else:
            yield (
                f"{text} Friedman's test: p = {p_text(p)}. Ranks that differ by less than "
                f"{difference:.2f} cannot be told apart at the {LEVEL:.0%} level (Nemenyi's test)."
            )


def _means(block: Block, metric: str) -> dict[str, float]:
    from tuner.report.stats import summarise

    values = {cell.arm: cell.values(f"test/{metric}") for cell in block.cells}
    return {arm: summarise(found).mean for arm, found in values.items() if found}


def _model_rows(
    model: str, tasks: Sequence[Mapping[str, float]], higher: bool
) -> Iterator[dict[str, Any]]:
    from tuner.report.stats import critical_difference, friedman_p, mean_ranks

    arms = sorted(set.intersection(*(set(means) for means in tasks)))
    if len(tasks) < 2 or len(arms) < 2:
        return
    scores = [[means[arm] for arm in arms] for means in tasks]
    tested = len(tasks) >= _LEAST_TASKS
    p = friedman_p(scores) if tested else None
    difference = critical_difference(len(arms), len(tasks), LEVEL) if tested else None
    for arm, rank in zip(arms, mean_ranks(scores, higher_is_better=higher), strict=True):
        found = (model, len(tasks), arm, float(rank), p, difference)
        yield dict(zip(_COLUMNS, found, strict=True))
