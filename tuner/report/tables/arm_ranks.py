"""Rank arms across tasks: mean rank, Friedman's test, the critical difference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tuner.report.selection import Block
from tuner.report.tables.frame import plain
from tuner.report.tables.pairs import LEVEL
from tuner.report.wording import higher_is_better, missing, p_text, title

if TYPE_CHECKING:
    import pandas

LEAST_TASKS = 5
"""Tasks from which on Friedman's test and its picture are shown."""
_COLUMNS = ("model", "tasks", "arm", "mean_rank", "friedman_p", "critical_difference")


def ranks_frame(blocks: Sequence[Block], *, metric: str, level: float) -> pandas.DataFrame:
    """Rank the arms that every task has, for each model with two tasks and two arms or more."""
    by_model: defaultdict[str, list[Mapping[str, float]]] = defaultdict(list)
    for block in blocks:
        means = _means(block, metric)
        if means:
            by_model[block.model].append(means)
    rows = [
        row
        for model, tasks in sorted(by_model.items())
        for row in _model_rows(model, tasks, higher_is_better(metric), level)
    ]
    return plain(rows, _COLUMNS)


def rank_notes(ranks: pandas.DataFrame, *, metric: str) -> Iterator[str]:
    """Say how arms rank across tasks, with a test from five tasks on."""
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
            yield f"{text} Friedman's test and its picture need {LEAST_TASKS} tasks or more."
        else:
            yield (
                f"{text} Friedman's test: p = {p_text(p)}. Ranks that differ by less than "
                f"{difference:.2f} are not separable at the {LEVEL:.0%} level (Nemenyi)."
            )


def _means(block: Block, metric: str) -> dict[str, float]:
    from tuner.report.stats import summarise

    values = {cell.arm: cell.values(f"test/{metric}") for cell in block.cells}
    return {arm: summarise(found).mean for arm, found in values.items() if found}


def _model_rows(
    model: str, tasks: Sequence[Mapping[str, float]], higher: bool, level: float
) -> Iterator[dict[str, Any]]:
    from tuner.report.stats import critical_difference, friedman_p, mean_ranks

    arms = sorted(set.intersection(*(set(means) for means in tasks)))
    if len(tasks) < 2 or len(arms) < 2:
        return
    scores = [[means[arm] for arm in arms] for means in tasks]
    tested = len(tasks) >= LEAST_TASKS
    p = friedman_p(scores) if tested else None
    difference = critical_difference(len(arms), len(tasks), level) if tested else None
    for arm, rank in zip(arms, mean_ranks(scores, higher_is_better=higher), strict=True):
        found = (model, len(tasks), arm, float(rank), p, difference)
        yield dict(zip(_COLUMNS, found, strict=True))
