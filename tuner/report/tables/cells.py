"""Tabulate cells: a row for each cell and test metric."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from tuner.report.columns import CELLS
from tuner.report.confusion import Confusion
from tuner.report.selection import Block, ComparedCell, Evidence
from tuner.report.tables.frame import typed
from tuner.report.wording import UNSEEN, main_scores
from tuner.store import RunRecord

if TYPE_CHECKING:
    import pandas

_TEST = "test/"
_NOT_SCORES = ("majority_accuracy",)
_SHARES = ("accuracy", "micro_f1")
"""Scores that are shares of the test rows: of one label a row, micro-F1 is the accuracy."""
_TOLERANCE = 1e-9
"""Of accuracies, which are fractions of counts: float rounding and no more."""


def cells_frame(blocks: Sequence[Block], evidence: Evidence) -> pandas.DataFrame:
    """Tabulate every cell's test metrics over its seeds; main scores first, then by name."""
    rows = [row for block in blocks for cell in block.cells for row in _cell_rows(cell, evidence)]
    return typed(rows, CELLS)


def collapsed(run: RunRecord) -> bool:
    """Say whether a run is no more accurate than always naming the most frequent class."""
    accuracy, floor = (run.metrics.get(f"{_TEST}{n}") for n in ("accuracy", "majority_accuracy"))
    return accuracy is not None and floor is not None and accuracy <= floor + _TOLERANCE


def train_peak(run: RunRecord) -> float | None:
    """Return the peak bytes of a run's training phase."""
    return run.metrics.get("memory/train/peak_bytes")


def seconds_of(run: RunRecord) -> float:
    """Return a run's wall seconds, all phases."""
    return sum(value for name, value in run.metrics.items() if name.startswith("seconds/"))


def _cell_rows(cell: ComparedCell, evidence: Evidence) -> Iterator[dict[str, object]]:
    from tuner.report.stats import summarise

    shared = _about(cell)
    for metric in _metrics(cell, evidence.metric):
        summary = summarise(cell.values(_TEST + metric))
        yield shared | {
            "metric": metric,
            "n": summary.n,
            "mean": summary.mean,
            "std": summary.std,
            "ci_low": summary.ci_low,
            "ci_high": summary.ci_high,
            "median": summary.median,
            "min": summary.minimum,
            "max": summary.maximum,
            "test_noise_std": _noise(cell, metric, evidence),
        }


def _about(cell: ComparedCell) -> dict[str, object]:
    """Return what is the same for all metrics of a cell."""
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
        "collapsed_runs": sum(map(collapsed, finished)),
        "planned_runs": len(cell.planned.seeds),
        "reason": cell.reason,
        "left_out_runs": cell.left_out,
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


def _metrics(cell: ComparedCell, metric: str) -> list[str]:
    """Return the cell's test metrics; the main ones first, and also where no run has finished."""
    first = main_scores(metric)
    found = {
        name.removeprefix(_TEST)
        for run in cell.finished
        for name in run.metrics
        if name.startswith(_TEST)
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

    value = run.metrics.get(_TEST + metric)
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
