"""Weigh score against memory and time: the Pareto set over seeds, and the memory saved."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tuner.report.comparison import NOT_RUN, Comparison, has_run
from tuner.report.contracts import Basis, ReportTable, plain
from tuner.report.measures import seconds_of, train_peak
from tuner.report.selection import ComparedCell
from tuner.report.view import (
    PAGE,
    TEXT,
    Field,
    Heading,
    TableView,
    cell_of,
    count,
    headings_of,
    memory,
    percent,
    rows_of,
    score,
    seconds,
    word,
    yes_or_no,
)
from tuner.report.wording import higher_is_better, is_loss, title, value_text
from tuner.store import RunRecord

if TYPE_CHECKING:
    import pandas

_COLUMNS: tuple[str, ...] = ("task", "model", "arm", "score", "score_low", "score_high")
_COLUMNS += ("peak_memory_bytes", "seconds", "pareto", "pareto_probability", "seeds")
_COLUMNS += ("saved_peak", "saved_largest_peak", "saved_with_eval")
Costs = tuple[float, float, float]
"""Values to minimise: the score (negated where higher is better), peak bytes, seconds."""
_STEPS = (0.05, 0.10)
"""Shares of memory and of time from which on a difference matters; of scores it is the margin."""
_LEAST_FOR_SHARES = 5
"""Seeds from which on the share of resampled seeds is shown."""
_SAVED = {
    "saved_peak": "peak_memory_mean_bytes",
    "saved_largest_peak": "peak_memory_bytes",
    "saved_with_eval": "peak_with_eval_bytes",
}
"""Share saved, and the column of `cells` that it is a share of."""


class TradeoffTable(ReportTable):
    """Score, memory and time of the arms that have all three, as means over the runs.

    score, score_low, score_high (95% interval), peak_memory_bytes (training), seconds, pareto
    (boolean; differences up to the margin, 5% of memory or 10% of time are ties),
    pareto_probability (share of resampled seeds in which the arm is in the Pareto set; from five
    seeds on), seeds (those that all arms have, which both are over; 0: none, and the set is over
    all runs), and against the baseline, else against the arm that takes most: saved_peak,
    saved_largest_peak, saved_with_eval (shares of the mean training peak, of the largest, of the
    mean peak of training and evaluation).
    """

    ORDER: ClassVar = 70

    kind: Literal["tradeoff"] = "tradeoff"
    """File name of the table."""

    def frame(self, basis: Basis) -> pandas.DataFrame:
        """Tabulate score, memory and time of the arms that have all three."""
        cells, metric = basis.frames["cells"], basis.metric
        chosen = cells[cells["metric"] == metric].to_dict("records")
        table = {(row["task"], row["model"], row["arm"]): row for row in chosen}
        rows: list[dict[str, Any]] = []
        for block in basis.blocks:
            here = [c for c in block.cells if any(_costs(run, metric) for run in c.finished)]
            if here:
                found = {cell.arm: table[cell.task, cell.model, cell.arm] for cell in here}
                rows += _block_rows(here, found, basis)
        return plain(rows, _COLUMNS)

    def views(self, comparison: Comparison) -> Iterator[TableView]:
        """Show each task and model on the page; all together, without the scores, in text."""
        for task, model in comparison.places():
            fields = _page_fields(comparison)
            untraded = _untraded(comparison, task, model)
            yield TableView(
                f"Score, memory and time; memory saved against {_against(comparison)}",
                headings_of(fields),
                rows_of(fields, comparison.rows("tradeoff", task, model)),
                section="costs",
                task=task,
                model=model,
                below=(untraded,) if untraded else (),
                shown_in=PAGE,
            )
        rows = comparison.rows("tradeoff")
        if len(rows) > 1:
            yield TableView(
                "Score, memory, time",
                headings_of(_TEXT_FIELDS),
                rows_of(_TEXT_FIELDS, rows),
                below=tuple(_explained(comparison)),
                shown_in=TEXT,
            )


def _against(comparison: Comparison) -> str:
    return comparison.baseline or "the arm that takes most"


def _beaten_by_none(comparison: Comparison) -> str:
    """Return what puts an arm into the Pareto set."""
    margins = {
        row["margin"] for row in comparison.rows("pairs") if row["metric"] == comparison.metric
    }
    margin = max(margins, default=0.0)
    score = title(comparison.metric)
    by = f"{value_text(margin, comparison.metric)} points of {score}" if margin else score
    return (
        f"no other arm is better in {score}, peak memory or seconds without being worse in "
        f"another, where only differences of more than {by}, {_STEPS[0]:.0%} of memory or "
        f"{_STEPS[1]:.0%} of time count"
    )


def _page_fields(comparison: Comparison) -> tuple[Field, ...]:
    metric, against = comparison.metric, _against(comparison)
    pareto = _beaten_by_none(comparison)
    resampled = "share of resampled seeds in which the arm is in the Pareto set"
    saved = {
        "saved_peak": ("mean peak", "share of the mean peak of the training phase"),
        "saved_largest_peak": ("largest peak", "share of the largest peak over the runs"),
        "saved_with_eval": ("with evaluation", "share of the mean peak, evaluation included"),
    }
    return (
        (Heading("arm", numeric=False), cell_of("arm", word)),
        (
            Heading(title(metric), "mean, with its 95% interval"),
            lambda row: score(row["score"], metric, ends=(row["score_low"], row["score_high"])),
        ),
        (
            Heading("mean peak memory", "of the training phase, mean over the runs"),
            cell_of("peak_memory_bytes", memory),
        ),
        (
            Heading("seconds", "wall time of a run, all phases, mean"),
            cell_of("seconds", seconds),
        ),
        (Heading("Pareto set", pareto, numeric=False), cell_of("pareto", yes_or_no)),
        (Heading("in resampled seeds", resampled), cell_of("pareto_probability", percent)),
        (
            Heading("seeds", "that all arms have, which the Pareto set is over"),
            cell_of("seeds", count),
        ),
        *(
            (Heading(f"saved, {name}", f"{about} of {against}"), cell_of(column, percent))
            for column, (name, about) in saved.items()
        ),
    )


_TEXT_FIELDS: tuple[Field, ...] = (
    (
        Heading("cell", numeric=False),
        lambda row: word(f"{row['task']} · {row['model']} · {row['arm']}"),
    ),
    (Heading("Pareto-optimal", numeric=False), cell_of("pareto", yes_or_no)),
    (Heading("over resampled seeds"), cell_of("pareto_probability", percent)),
    (Heading("seeds"), cell_of("seeds", count)),
    (Heading("memory saved: mean peak"), cell_of("saved_peak", percent)),
    (Heading("largest peak"), cell_of("saved_largest_peak", percent)),
    (Heading("with evaluation"), cell_of("saved_with_eval", percent)),
)


def _explained(comparison: Comparison) -> Iterator[str]:
    """Yield the meaning of the table's words, and for each task and model the arms it lacks."""
    yield (
        f"Pareto-optimal: {_beaten_by_none(comparison)}. Saved: share of the peak of "
        f"{_against(comparison)}; of the training phase (mean and largest over the runs), and "
        "with evaluation."
    )
    for task, model in comparison.places():
        if untraded := _untraded(comparison, task, model):
            yield f"{task} · {model}: {untraded}"


def _untraded(comparison: Comparison, task: str, model: str) -> str:
    """Name the arms of a task and model that are not in the table, and the reasons."""
    traded = {row["arm"] for row in comparison.rows("tradeoff", task, model)}
    arms: dict[str, list[str]] = {}
    for row in comparison.rows("cells", task, model) if traded else ():
        if row["metric"] == comparison.metric and row["arm"] not in traded:
            why = "without a score or a peak of memory" if row["n"] else "without a finished run"
            arms.setdefault(why if has_run(row) else NOT_RUN, []).append(row["arm"])
    listed = "; ".join(f"{', '.join(names)} ({why})" for why, names in arms.items())
    return f"Not in this table: {listed}." if listed else ""


def _block_rows(
    cells: Sequence[ComparedCell],
    table: Mapping[str, Mapping[Any, Any]],
    basis: Basis,
) -> list[dict[str, Any]]:
    from tuner.report.stats import Steps, pareto, pareto_probability

    metric, baseline = basis.metric, basis.baseline
    steps = Steps((0.0 if is_loss(metric) else basis.margin, 0.0, 0.0), (0.0, *_STEPS))
    shared = _on_common_seeds(cells, metric)
    seeds = len(shared[0])
    per_arm = shared if seeds else [_all_costs(cell, metric) for cell in cells]
    means = [_mean_costs(costs) for costs in per_arm]
    best = pareto(means, steps)
    enough = seeds >= _LEAST_FOR_SHARES
    probability = pareto_probability(shared, steps) if enough else [None] * len(cells)
    against = baseline or max(table, key=lambda arm: table[arm]["peak_memory_mean_bytes"])
    rows = []
    for index, cell in enumerate(cells):
        row = table[cell.arm]
        _, peak, wall = _mean_costs(_all_costs(cell, metric))
        share = probability[index]
        values: tuple[Any, ...] = (cell.task, cell.model, cell.arm)
        values += (row["mean"], row["ci_low"], row["ci_high"], peak, wall)
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
    """Return a run's costs; None where it lacks the score or the peak."""
    value, peak = run.metrics.get(f"test/{metric}"), train_peak(run)
    if value is None or peak is None:
        return None
    return -value if higher_is_better(metric) else value, peak, seconds_of(run)


def _all_costs(cell: ComparedCell, metric: str) -> list[Costs]:
    return [costs for run in cell.finished if (costs := _costs(run, metric))]


def _mean_costs(found: Sequence[Costs]) -> Costs:
    cost, peak, wall = (statistics.fmean(sorted(values)) for values in zip(*found, strict=True))
    return cost, peak, wall


def _on_common_seeds(cells: Sequence[ComparedCell], metric: str) -> list[list[Costs]]:
    """Return each arm's costs on the seeds that all arms have, in the same order."""
    by_arm = [
        {seeds: costs for seeds, run in cell.by_seeds().items() if (costs := _costs(run, metric))}
        for cell in cells
    ]
    common = sorted(set.intersection(*(set(found) for found in by_arm)))
    return [[found[seeds] for seeds in common] for found in by_arm]
