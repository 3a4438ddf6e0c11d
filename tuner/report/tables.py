"""Tabulate a study: one row a cell, one row a run, raw numbers."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuner.report.compared import ComparedCell, compared_cells
from tuner.trackers import RunRecord, entity_name

if TYPE_CHECKING:
    import pandas

_SCORES = ("accuracy", "macro_f1")


@dataclass(frozen=True)
class Tables:
    """A study's numbers.

    `cells` has the columns task, model, arm, n; `<score>_mean` and `<score>_std` (of the sample)
    for accuracy, macro_f1 and the study's metric; trained_parameters and head_parameters;
    peak_memory_bytes (the largest peak of the training phase over the runs); seconds (wall, mean
    a run, all phases); failed_runs; left_out_runs (of older definitions of the cell).
    `runs` has a row for each finished or failed run: task, model, arm, state, reason, the three
    seeds, digest, run_id, then every metric but the curves of training, by name.
    """

    cells: pandas.DataFrame
    runs: pandas.DataFrame
    metric: str


def build_tables(records: Sequence[RunRecord], *, metric: str) -> Tables:
    """Tabulate the confirm runs among the records.

    Args:
        records: A study's runs, in any order.
        metric: The study's metric, without the split's name.
    """
    import pandas

    cells = compared_cells(records)
    scores = score_names(metric)
    rows = [_cell_row(cell, scores) for cell in cells]
    names = ["task", "model", "arm", "n"]
    names += [f"{score}_{part}" for score in scores for part in ("mean", "std")]
    names += ["trained_parameters", "head_parameters", "peak_memory_bytes", "seconds"]
    names += ["failed_runs", "left_out_runs"]
    counts = ["n", "trained_parameters", "head_parameters", "peak_memory_bytes"]
    counts += ["failed_runs", "left_out_runs"]
    frame = pandas.DataFrame(rows, columns=names).astype(dict.fromkeys(counts, "Int64"))
    return Tables(cells=frame, runs=_runs_frame(cells), metric=metric)


def score_names(metric: str) -> tuple[str, ...]:
    """Return the test metrics that a table shows: accuracy, macro-F1 and the study's own."""
    return tuple(dict.fromkeys((*_SCORES, metric)))


def _cell_row(cell: ComparedCell, scores: Sequence[str]) -> dict[str, object]:
    row: dict[str, object] = {"task": cell.task, "model": cell.model, "arm": cell.arm}
    row["n"] = len(cell.finished)
    for score in scores:
        values = _values(cell, f"test/{score}")
        row[f"{score}_mean"] = statistics.fmean(values) if values else None
        row[f"{score}_std"] = statistics.stdev(values) if len(values) > 1 else None
    row["trained_parameters"] = _largest(_values(cell, "parameters/trained"))
    row["head_parameters"] = _largest(_values(cell, "parameters/head"))
    row["peak_memory_bytes"] = _largest(
        value
        for record in cell.finished
        for name, value in record.metrics.items()
        if name.startswith("memory/train/") and "peak" in name
    )
    seconds = [_seconds(record) for record in cell.finished]
    row["seconds"] = statistics.fmean(seconds) if seconds else None
    return row | {"failed_runs": len(cell.failed), "left_out_runs": cell.left_out}


def _runs_frame(cells: Sequence[ComparedCell]) -> pandas.DataFrame:
    import pandas

    records = [record for cell in cells for record in (*cell.finished, *cell.failed)]
    rows = [_run_row(record) for record in records]
    fixed = ["task", "model", "arm", "state", "reason", "init_seed", "order_seed", "data_seed"]
    fixed += ["digest", "run_id"]
    metrics = sorted({name for row in rows for name in row if name not in fixed})
    return pandas.DataFrame(rows, columns=[*fixed, *metrics])


def _run_row(record: RunRecord) -> dict[str, object]:
    row: dict[str, object] = record.group.model_dump(include={"task", "model", "arm"})
    row |= {"state": record.state, "reason": record.reason}
    row |= {f"{name}_seed": seed for name, seed in record.seeds.model_dump().items()}
    row |= {"digest": record.digest, "run_id": record.run_id}
    return row | {k: v for k, v in record.metrics.items() if not k.startswith("train/")}


def _values(cell: ComparedCell, name: str) -> list[float]:
    key = entity_name(name)
    return [record.metrics[key] for record in cell.finished if key in record.metrics]


def _largest(values: Iterable[float]) -> int | None:
    found = list(values)
    return int(max(found)) if found else None


def _seconds(record: RunRecord) -> float:
    return sum(value for name, value in record.metrics.items() if name.startswith("seconds/"))
