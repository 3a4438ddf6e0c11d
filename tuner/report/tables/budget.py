"""Expected best validation score by budget, and the budgets at which arms change places."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tuner.report.compared import Block, ComparedCell
from tuner.report.scores import higher_is_better
from tuner.report.tables.frame import plain
from tuner.report.tables.runs import seconds_spent, trial_score

if TYPE_CHECKING:
    import pandas

_COLUMNS = ("task", "model", "arm", "trials", "seconds", "expected")
Unit = Literal["trials", "seconds"]


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


def budget_frame(blocks: Sequence[Block], *, metric: str) -> pandas.DataFrame:
    """Compute each searched arm's expected best validation score after 1, 2, ... trials.

    A pruned trial counts with its last score. A failed one has none: it counts as the worst of
    its cell, since it was paid for. A point that came again counts once: its runs were found, and
    nobody spent anything on them. The trials are taken for exchangeable draws, which those of
    a sampler that learns are not quite.
    """
    rows = [row for block in blocks for cell in block.begun for row in _rows(cell, metric)]
    return plain(rows, _COLUMNS)


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
