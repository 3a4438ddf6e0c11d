"""Say in sentences what holds across tasks and over the whole report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tuner.report.comparison import Note
from tuner.report.scores import higher_is_better, title
from tuner.report.tables.budget import PlaceSwap, place_swaps
from tuner.report.tables.pairs import LEVEL
from tuner.report.tables.ranks import LEAST_TASKS
from tuner.report.wording import missing, p_text

if TYPE_CHECKING:
    import pandas

CAPTION = (
    "Scores are on the test split, in points (a loss in nats), mean ± standard deviation of the "
    "sample over n seeds, with the 95% interval of the mean (Student t). Peak memory is the "
    "largest of the training phase over the runs, seconds the mean wall time of a run."
)


_NAMED = 6
"""Longer lists are counted."""


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


def budget_notes(budget: pandas.DataFrame, *, metric: str) -> Iterator[Note]:
    """Say which arm leads at which search budget, and where arms change places."""
    swaps = place_swaps(budget, metric=metric)
    for (task, model), rows in budget.groupby(["task", "model"]):
        table = rows.pivot_table(index="trials", columns="arm", values="expected").dropna()
        if len(table.columns) < 2 or table.empty:
            continue
        best = table.idxmax(axis=1) if higher_is_better(metric) else table.idxmin(axis=1)
        leaders = [str(arm) for arm in best]
        text = f"Expected best validation {title(metric)} by number of trials: "
        text += f"{leaders[0]} leads after 1"
        changes = [
            f"{arm} from {trials}"
            for trials, arm, before in zip(table.index[1:], leaders[1:], leaders, strict=False)
            if arm != before
        ]
        text += f", {', '.join(changes)} on" if changes else f" and up to all {len(leaders)}"
        here = _without_ties([s for s in swaps if (s.task, s.model) == (task, model)])
        shown = "; ".join(map(_swap_text, here[:_NAMED]))
        more = f"; {len(here) - _NAMED} more are in report.json" if len(here) > _NAMED else ""
        text += f". Arms change places: {shown}{more}." if here else ". No arms change places."
        yield Note(f"{text} So few trials leave all of this uncertain.", str(task), str(model))


def _without_ties(swaps: Sequence[PlaceSwap]) -> list[PlaceSwap]:
    """Leave out swaps that are undone at the budget, as it is shown, at which they happen."""
    left: dict[tuple[str, str, frozenset[str]], PlaceSwap] = {}
    for swap in swaps:
        key = (swap.unit, f"{swap.at:.0f}", frozenset((swap.before, swap.after)))
        if left.pop(key, None) is None:
            left[key] = swap
    return list(left.values())


def _swap_text(swap: PlaceSwap) -> str:
    at = f"{swap.at:.0f} trials" if swap.unit == "trials" else f"{swap.at:.0f} s of search"
    return f"{swap.after} overtakes {swap.before} at {at}"
