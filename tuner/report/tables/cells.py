"""Summarise cells: a row for each cell and test metric, over its seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from tuner.report.comparison import Comparison, Row
from tuner.report.confusion import Confusion
from tuner.report.contracts import Basis, Column, ReportTable, typed
from tuner.report.evidence import Evidence
from tuner.report.measures import TEST, collapsed, seconds_of, train_peak
from tuner.report.selection import ComparedCell
from tuner.report.tables._columns import ARM, MODEL, TASK
from tuner.report.view import (
    PAGE,
    Heading,
    TableRow,
    TableView,
    count,
    mean_cell,
    run_ids,
    score,
    word,
)
from tuner.report.wording import (
    LEAST_FOR_INTERVAL,
    UNSEEN,
    is_loss,
    main_scores,
    short_number,
    title,
)
from tuner.store import RunRecord

if TYPE_CHECKING:
    import pandas

    from tuner.report.stats import Summary

_NOT_SCORES = ("majority_accuracy",)
_SHARES = ("accuracy", "micro_f1")
"""Scores that are shares of the test rows: of one label a row, micro-F1 is the accuracy."""
_COLUMNS = (
    Column("study", "string", "the study that the runs belong to"),
    TASK,
    MODEL,
    ARM,
    Column("method", "string", "what is trained: the method's kind"),
    Column("metric", "string", "test metric; `unseen/`: without the rows that train has"),
    Column("n", "Int64", "finished confirm runs, one a seed, that have the metric"),
    Column("mean", "float64", "mean over the seeds, as a fraction (loss: nats)"),
    Column("std", "float64", "standard deviation of the sample (n - 1)"),
    Column("ci_low", "float64", "lower end of the mean's 95% interval, from four seeds on"),
    Column("ci_high", "float64", "upper end of it; both lie in the range of the score"),
    Column("median", "float64", "median over the seeds"),
    Column("min", "float64", "smallest value"),
    Column("max", "float64", "largest value"),
    Column(
        "test_noise_std",
        "float64",
        "standard error of one run, its test rows a sample; main scores",
    ),
    Column("failed_runs", "Int64", "confirm runs that failed or diverged and never finished"),
    Column("collapsed_runs", "Int64", "finished runs that learnt no more than to name one class"),
    Column("planned_runs", "Int64", "confirm runs that the study wants"),
    Column("reason", "string", "why confirm runs are missing, where that is known"),
    Column(
        "left_out_runs", "Int64", "confirm runs of the cell that its study does not define now"
    ),
    Column("chosen", "string", "searched fields with the values that were chosen"),
    Column("trials", "Int64", "configurations that the search tried; 0: not searched"),
    Column("points", "Int64", "different ones among them; a repeated one is not trained again"),
    Column("seconds", "float64", "wall seconds of a run, all phases, mean"),
    Column("peak_memory_bytes", "Int64", "peak of the training phase, largest over the runs"),
    Column("peak_memory_mean_bytes", "float64", "peak of the training phase, mean over the runs"),
    Column("peak_with_eval_bytes", "float64", "peak of training and evaluation, mean over runs"),
    Column("trained_parameters", "Int64", "scalars that receive a gradient"),
    Column("adapter_parameters", "Int64", "those outside the classification head"),
    Column("head_parameters", "Int64", "those in the classification head"),
    Column("parent_run_id", "string", "MLflow run of the configuration"),
    Column("run_ids", "string", "MLflow runs, in the order of seeds, a space between"),
)


class CellsTable(ReportTable):
    """A row for each cell and test metric: mean, spread and costs; main scores come first."""

    ORDER: ClassVar = 10
    COLUMNS: ClassVar = _COLUMNS

    kind: Literal["cells"] = "cells"
    """File name of the table."""

    def frame(self, basis: Basis) -> pandas.DataFrame:
        """Tabulate every cell's test metrics over its seeds."""
        cells = [cell for block in basis.blocks for cell in block.cells]
        rows = [row for cell in cells for row in _cell_rows(cell, basis.evidence)]
        return typed(rows, _COLUMNS)

    def views(self, comparison: Comparison) -> Iterator[TableView]:
        """Show all test metrics of each task and model, folded."""
        names = ("mean", "std", "median", "min", "max", "test noise")
        columns = (
            Heading("arm", numeric=False),
            Heading("metric", numeric=False),
            Heading("n", "finished confirm runs that have the metric"),
            *(Heading(name) for name in names),
        )
        for task, model in comparison.places():
            rows = tuple(map(_metric_row, comparison.rows("cells", task, model)))
            yield TableView(
                "All test metrics", columns, rows, "folded", task, model, shown_in=PAGE
            )


def _metric_row(row: Row) -> TableRow:
    name = row["metric"]
    others = ("std", "median", "min", "max", "test_noise_std")
    cells = (mean_cell(row), *(score(row[other], name) for other in others))
    about = (word(row["arm"]), word(title(name)), count(row["n"]))
    return TableRow((*about, *cells), run_ids("seeds", row["run_ids"]))


def _cell_rows(cell: ComparedCell, evidence: Evidence) -> Iterator[dict[str, object]]:
    from tuner.report.stats import summarise

    shared = _about(cell, evidence)
    for metric in _metrics(cell, evidence.metric):
        summary = summarise(cell.values(TEST + metric))
        yield shared | {
            "metric": metric,
            "n": summary.n,
            "mean": summary.mean,
            "std": summary.std,
            **_ends(summary, metric),
            "median": summary.median,
            "min": summary.minimum,
            "max": summary.maximum,
            "test_noise_std": _noise(cell, metric, evidence),
        }


def _ends(summary: Summary, metric: str) -> dict[str, float | None]:
    """Return the interval of a mean inside the range of its scores; none below four seeds."""
    if summary.n < LEAST_FOR_INTERVAL:
        return {"ci_low": None, "ci_high": None}
    if is_loss(metric):
        return {"ci_low": summary.ci_low, "ci_high": summary.ci_high}
    return {"ci_low": max(summary.ci_low, 0.0), "ci_high": min(summary.ci_high, 1.0)}


def _about(cell: ComparedCell, evidence: Evidence) -> dict[str, object]:
    """Return the columns that are the same for all metrics of a cell."""
    finished = cell.finished
    peaks = [peak for run in finished if (peak := train_peak(run)) is not None]
    with_eval = [
        max(peak, run.metrics.get("memory/eval/peak_bytes", 0.0))
        for run in finished
        if (peak := train_peak(run)) is not None
    ]
    return {
        "study": cell.study,
        "task": cell.task,
        "model": cell.model,
        "arm": cell.arm,
        "method": cell.method,
        "failed_runs": len(cell.failed),
        "collapsed_runs": sum(
            collapsed(run, evidence.confusions.get(run.run_id)) for run in finished
        ),
        "planned_runs": len(cell.planned.seeds),
        "reason": cell.reason,
        "left_out_runs": cell.left_out,
        "chosen": _chosen(cell),
        "trials": cell.search.counted,
        "points": cell.search.points,
        "seconds": _mean([seconds_of(run) for run in finished]),
        "peak_memory_bytes": _largest(peaks),
        "peak_memory_mean_bytes": _mean(peaks),
        "peak_with_eval_bytes": _mean(with_eval),
        "trained_parameters": _largest(cell.values("parameters/trained")),
        "adapter_parameters": _largest(cell.values("parameters/adapter")),
        "head_parameters": _largest(cell.values("parameters/head")),
        "parent_run_id": cell.parent_id,
        "run_ids": " ".join(run.run_id for run in finished),
    }


def _chosen(cell: ComparedCell) -> str:
    """Return the searched fields with the values of the confirm runs."""
    params = cell.runs[-1].params if cell.runs else {}
    names = sorted(name for name in cell.searched_fields if name in params)
    return ", ".join(f"{name} {short_number(params[name])}" for name in names)


def _metrics(cell: ComparedCell, metric: str) -> list[str]:
    """Return the cell's test metrics; the main ones first, and also where no run has finished."""
    first = main_scores(metric)
    found = {
        name.removeprefix(TEST)
        for run in cell.finished
        for name in run.metrics
        if name.startswith(TEST)
    }
    return [*first, *sorted(found - {*first, *_NOT_SCORES})]


def _noise(cell: ComparedCell, metric: str, evidence: Evidence) -> float | None:
    """Return how much one run's main score would vary over test samples: mean over the runs."""
    name = metric.removeprefix(UNSEEN)
    if name not in main_scores(evidence.metric) or name == "loss":
        return None
    found = []
    for run in cell.finished:
        table = evidence.confusions.get(run.run_id)
        if name in _SHARES:
            found.append(_binomial(run, metric, table))
        elif table is not None:
            found.append(_bootstrapped(table, metric, run))
    return _mean([value for value in found if value is not None])


def _binomial(run: RunRecord, metric: str, table: Confusion | None) -> float | None:
    """Return the standard error of a share of the test rows."""
    from tuner.report.stats import binomial_std

    value = run.metrics.get(TEST + metric)
    if table is not None:
        rows = int((table.unseen if metric.startswith(UNSEEN) else table.counts).sum())
    else:
        rows = int(run.facts.get("rows.test", 0))
        if metric.startswith(UNSEEN):
            rows -= int(run.facts.get("rows.test_seen_in_train", 0))
    return None if value is None or rows < 1 else float(binomial_std(value, rows))


def _bootstrapped(table: Confusion, metric: str, run: RunRecord) -> float | None:
    """Return the standard error by resampling the test rows."""
    import zlib

    from tuner.report.stats import bootstrap_noise

    name = metric.removeprefix(UNSEEN)
    counts = table.counts if name == metric else table.unseen
    label = None
    if name.startswith("f1/"):
        wanted = name.removeprefix("f1/")
        if wanted not in table.labels:
            return None
        name, label = "f1", table.labels.index(wanted)
    if not counts.sum():
        return None
    seed = zlib.crc32(run.digest.encode())
    noise = bootstrap_noise(counts, name, label=label, resamples=200, seed=seed)
    return float(noise.std)


def _mean(values: Sequence[float]) -> float | None:
    # Sorted, so that the sum does not depend on the order of the seeds.
    return statistics.fmean(sorted(values)) if values else None


def _largest(values: Iterable[float]) -> int | None:
    return int(max(values, default=-1)) if values else None
