"""Expected best validation score by budget, and the budgets at which arms change places."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tuner.report.comparison import Note
from tuner.report.contracts import Basis, ReportTable, plain
from tuner.report.measures import seconds_spent, trial_score
from tuner.report.selection import ComparedCell
from tuner.report.wording import higher_is_better, title

if TYPE_CHECKING:
    import pandas

_NAMED = 6
"""Longer lists are counted."""
_COLUMNS = ("task", "model", "arm", "trials", "seconds", "expected")
Unit = Literal["trials", "seconds"]


class BudgetTable(ReportTable):
    """Each searched arm's expected best validation score after 1, 2, ... trials.

    trials (from 1 to the number tried), seconds (mean of so many trials), expected.
    """

    ORDER: ClassVar = 60

    kind: Literal["budget"] = "budget"
    """File name of the table."""

    def frame(self, basis: Basis) -> pandas.DataFrame:
        """Compute the expected best of each searched arm.

        A pruned trial counts with its last score. A failed trial has no score: it counts as the
        worst of its cell, since it used up budget. A repeated point counts once: its runs were
        found, and cost nothing. The trials are treated as exchangeable draws, which is not quite
        true of a sampler that learns.
        """
        cells = [cell for block in basis.blocks for cell in block.begun]
        return plain((row for cell in cells for row in _rows(cell, basis.metric)), _COLUMNS)


@dataclass(frozen=True)
class PlaceSwap:
    """A budget at which one arm's expected best overtakes another's."""

    task: str
    model: str
    unit: Unit
    at: float
    """From this budget on."""
    before: str
    """The arm that leads below."""
    after: str
    """The arm that leads from there on."""


def place_swaps(budget: pandas.DataFrame, *, metric: str) -> list[PlaceSwap]:
    """Find where the curves of two arms cross, by trials and by seconds."""
    from tuner.report.stats import swaps

    found = []
    higher = higher_is_better(metric)
    for (task, model), block in budget.groupby(["task", "model"]):
        curves = {str(arm): curve for arm, curve in block.groupby("arm")}
        units: tuple[Unit, ...] = ("trials", "seconds")
        for (a, first), (b, second) in itertools.combinations(curves.items(), 2):
            for unit in units:
                for swap in swaps(
                    first[unit].to_numpy(float),
                    first["expected"].to_numpy(float),
                    second[unit].to_numpy(float),
                    second["expected"].to_numpy(float),
                    higher_is_better=higher,
                ):
                    before, after = (a, b) if swap.leader_after == "b" else (b, a)
                    found.append(
                        PlaceSwap(str(task), str(model), unit, float(swap.at), before, after)
                    )
    return found


def budget_notes(budget: pandas.DataFrame, *, metric: str) -> Iterator[Note]:
    """Yield a note for each task and model: the leading arm by search budget, and the swaps."""
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


def _rows(cell: ComparedCell, metric: str) -> Iterator[dict[str, Any]]:
    from tuner.report.stats import expected_best

    spent = cell.search.different
    scores = [trial_score(trial, metric) for trial in spent]
    known = [score for score in scores if score is not None]
    if not known:
        return
    higher = higher_is_better(metric)
    worst = min(known) if higher else max(known)
    filled = [worst if score is None else score for score in scores]
    totals = [sum(sorted(map(seconds_spent, trial.runs))) for trial in spent]
    each = statistics.fmean(sorted(totals))
    curve = expected_best(filled, higher_is_better=higher)
    for number, expected in enumerate(curve, start=1):
        found = (cell.task, cell.model, cell.arm, number, number * each, float(expected))
        yield dict(zip(_COLUMNS, found, strict=True))
