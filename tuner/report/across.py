"""Say in sentences what holds across tasks and over the whole report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tuner.report.comparison import Note
from tuner.report.scores import higher_is_better, title
from tuner.report.tables.budget import PlaceSwap
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


def swap_notes(swaps: Sequence[PlaceSwap], *, metric: str) -> Iterator[Note]:
    """Name the search budgets at which arms change places."""
    better = "higher" if higher_is_better(metric) else "lower"
    for swap in swaps:
        at = f"{swap.at:.0f} trials" if swap.unit == "trials" else f"{swap.at:.0f} s of search"
        text = (
            f"From {at} on, {swap.after} has the {better} expected best validation "
            f"{title(metric)}; below that, {swap.before}."
        )
        yield Note(text, swap.task, swap.model)
