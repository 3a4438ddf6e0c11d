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
from tuner.report.wording import LEAST_TRIALS, higher_is_better, title

if TYPE_CHECKING:
    import pandas

_NAMED = 6
"""Longer lists are counted."""
_COLUMNS = ("task", "model", "arm", "trials", "seconds", "expected", "bound")
Unit = Literal["trials", "seconds"]


class BudgetTable(ReportTable):
    """Each searched arm's expected best validation score after 1, 2, ... finished trials.

    trials (from 1 to the number that finished), seconds (that so many of all trials take on
    average), expected (had the trials been drawn from those that finished), bound (had they been
    drawn from all: a pruned one counts with its last score, which it might have surpassed).
    """

    ORDER: ClassVar = 60

    kind: Literal["budget"] = "budget"
    """File name of the table."""

    def frame(self, basis: Basis) -> pandas.DataFrame:
        """Compute the expected best of each searched arm.

        For the bound, a trial without a score counts as the worst of its cell, since it used up
        budget. A repeated point counts once: it was not trained again. The trials are treated as
        exchangeable draws, which is not quite true of a sampler that learns.
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
    """Yield a note for each task and model: the leading arm by search budget, and the swaps.

    Arms with few finished trials are left out: their curves say next to nothing.
    """
    finished = budget.groupby(["task", "model", "arm"])["trials"].transform("max")
    budget = budget[finished >= LEAST_TRIALS]
    swaps = place_swaps(budget, metric=metric)
    for (task, model), rows in budget.groupby(["task", "model"]):
        table = rows.pivot_table(index="trials", columns="arm", values="expected").dropna()
        if len(table.columns) < 2:
            continue
        best = table.idxmax(axis=1) if higher_is_better(metric) else table.idxmin(axis=1)
        leaders = [str(arm) for arm in best]
        text = (
            f"If each arm had been given fewer trials, the best validation {title(metric)} is "
            f"expected from {leaders[0]} after 1 trial"
        )
        changes = [
            f"from {arm} after {trials}"
            for trials, arm, before in zip(table.index[1:], leaders[1:], leaders, strict=False)
            if arm != before
        ]
        text += f", {', '.join(changes)}" if changes else f", and up to all {len(leaders)}"
        here = _last_ones([s for s in swaps if (s.task, s.model) == (task, model)])
        shown = "; ".join(map(_swap_text, here[:_NAMED]))
        more = f"; {len(here) - _NAMED} more are in report.json" if len(here) > _NAMED else ""
        text += f". Two arms change places: {shown}{more}." if here else "."
        yield Note(f"{text} Only finished trials count here.", str(task), str(model))


def _last_ones(swaps: Sequence[PlaceSwap]) -> list[PlaceSwap]:
    """Return one swap a pair of arms, by trials: the last one, which lasts."""
    last: dict[frozenset[str], PlaceSwap] = {}
    first: dict[frozenset[str], str] = {}
    for swap in swaps:
        if swap.unit == "trials":
            pair = frozenset((swap.before, swap.after))
            last[pair] = swap
            first.setdefault(pair, swap.before)
    return [swap for pair, swap in last.items() if swap.after != first[pair]]


def _swap_text(swap: PlaceSwap) -> str:
    return f"{swap.after} overtakes {swap.before} at {swap.at:.0f} trials"


def _rows(cell: ComparedCell, metric: str) -> Iterator[dict[str, Any]]:
    from tuner.report.stats import expected_best

    spent = cell.search.different
    scores = [trial_score(trial, metric) for trial in spent]
    known = [score for score in scores if score is not None]
    finished = [
        score
        for trial, score in zip(spent, scores, strict=True)
        if trial.state == "finished" and score is not None
    ]
    if not finished:
        return
    higher = higher_is_better(metric)
    worst = min(known) if higher else max(known)
    filled = [worst if score is None else score for score in scores]
    totals = [sum(sorted(map(seconds_spent, trial.runs))) for trial in spent]
    each = statistics.fmean(sorted(totals))
    curve = expected_best(finished, higher_is_better=higher)
    bound = expected_best(filled, higher_is_better=higher)
    for number, expected in enumerate(curve, start=1):
        found: tuple[Any, ...] = (cell.task, cell.model, cell.arm, number, number * each)
        found += (float(expected), float(bound[number - 1]))
        yield dict(zip(_COLUMNS, found, strict=True))
