"""Weigh score against memory and time: the Pareto set over seeds, and what is saved."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tuner.report.selection import Block, ComparedCell
from tuner.report.tables.cells import seconds_of, train_peak
from tuner.report.tables.frame import plain
from tuner.report.wording import higher_is_better
from tuner.store import RunRecord

if TYPE_CHECKING:
    import pandas

_COLUMNS: tuple[str, ...] = ("task", "model", "arm", "score", "score_low", "score_high")
_COLUMNS += ("peak_memory_bytes", "seconds", "pareto", "pareto_probability", "seeds")
_COLUMNS += ("saved_peak", "saved_largest_peak", "saved_with_eval")
Costs = tuple[float, float, float]
"""What is to be small: the score turned round, peak bytes, seconds."""
_SAVED = {
    "saved_peak": "peak_memory_mean_bytes",
    "saved_largest_peak": "peak_memory_bytes",
    "saved_with_eval": "peak_with_eval_bytes",
}
"""Share saved, and the column of `cells` that it is a share of."""


def tradeoff_frame(
    blocks: Sequence[Block], cells: pandas.DataFrame, *, metric: str, baseline: str | None
) -> pandas.DataFrame:
    """Tabulate score, memory and time of the arms that have all three."""
    chosen = cells[cells["metric"] == metric]
    table = {(row["task"], row["model"], row["arm"]): row for row in chosen.to_dict("records")}
    rows: list[dict[str, Any]] = []
    for block in blocks:
        here = [cell for cell in block.cells if any(_costs(run, metric) for run in cell.finished)]
        if here:
            found = {cell.arm: table[cell.task, cell.model, cell.arm] for cell in here}
            rows += _block_rows(here, found, metric, baseline)
    return plain(rows, _COLUMNS)


def _block_rows(
    cells: Sequence[ComparedCell],
    table: Mapping[str, Mapping[Any, Any]],
    metric: str,
    baseline: str | None,
) -> list[dict[str, Any]]:
    from tuner.report.stats import pareto, pareto_probability

    shared = _on_common_seeds(cells, metric)
    seeds = len(shared[0])
    per_arm = shared if seeds else [_all_costs(cell, metric) for cell in cells]
    means = [_mean_costs(costs) for costs in per_arm]
    best = pareto(means)
    probability = pareto_probability(shared) if seeds > 1 else [None] * len(cells)
    against = baseline or max(table, key=lambda arm: table[arm]["peak_memory_mean_bytes"])
    rows = []
    for index, cell in enumerate(cells):
        row = table[cell.arm]
        _, memory, seconds = _mean_costs(_all_costs(cell, metric))
        share = probability[index]
        values: tuple[Any, ...] = (cell.task, cell.model, cell.arm)
        values += (row["mean"], row["ci_low"], row["ci_high"], memory, seconds)
        values += (bool(best[index]), None if share is None else float(share), seeds)
        saved = _saved(row, table.get(against))
        rows.append(dict(zip(_COLUMNS, (*values, *saved.values()), strict=True)))
    return rows


def _saved(row: Mapping[Any, Any], against: Mapping[Any, Any] | None) -> dict[str, float | None]:
    if against is None:
        return dict.fromkeys(_SAVED)
    return {
        name: 1 - float(row[column]) / float(against[column]) for name, column in _SAVED.items()
    }


def _costs(run: RunRecord, metric: str) -> Costs | None:
    """Return what a run cost; None where it lacks the score or the peak."""
    score, memory = run.metrics.get(f"test/{metric}"), train_peak(run)
    if score is None or memory is None:
        return None
    return -score if higher_is_better(metric) else score, memory, seconds_of(run)


def _all_costs(cell: ComparedCell, metric: str) -> list[Costs]:
    return [costs for run in cell.finished if (costs := _costs(run, metric))]


def _mean_costs(found: Sequence[Costs]) -> Costs:
    score, memory, seconds = (
        statistics.fmean(sorted(values)) for values in zip(*found, strict=True)
    )
    return score, memory, seconds


def _on_common_seeds(cells: Sequence[ComparedCell], metric: str) -> list[list[Costs]]:
    """Return each arm's costs on the seeds that all arms have, in the same order."""
    by_arm = [
        {seeds: costs for seeds, run in cell.by_seeds().items() if (costs := _costs(run, metric))}
        for cell in cells
    ]
    common = sorted(set.intersection(*(set(found) for found in by_arm)))
    return [[found[seeds] for seeds in common] for found in by_arm]
