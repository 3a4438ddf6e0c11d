"""Choose the numbers that MLflow shows of a run, and summarise those of a configuration's runs."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence

COUNT = "n"
"""Metric of a configuration alone: its finished runs."""
_SCORES = {"test": ("accuracy", "macro_f1", "loss"), "validation": ("accuracy", "macro_f1")}
"""No validation loss: in MLflow's charts the mean would be a point of the curves."""
_COSTS = (
    *("memory/train/peak_bytes", "seconds/load", "seconds/train", "seconds/eval"),
    *("parameters/total", "parameters/trained", "parameters/adapter"),
)
_IN_THE_JOURNAL = re.compile(
    r"memory/(rank\d+/.*|baseline_bytes|(predicted|measured)/(load|eval)_.*)"
)


def shown(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the final metrics of a run that MLflow shows; the journal has all.

    The memory of each rank, and what is predicted of loading and evaluation, are left out.
    """
    return {name: value for name, value in metrics.items() if not _IN_THE_JOURNAL.fullmatch(name)}


def aggregate(rows: Sequence[Mapping[str, float]], metric: str) -> dict[str, float]:
    """Return the summary of a configuration's finished runs, for the parent run.

    Args:
        rows: The final metrics of each run. One that lacks a metric does not count in its mean.
        metric: The study's metric.

    Returns:
        Means under the names that the runs have, of scores and costs; of scores also, with two
        values and more, the standard deviation of the sample (n - 1), `<name>_std`; and `n`.
    """
    found: dict[str, float] = {COUNT: float(len(rows))} if rows else {}
    spread = [
        f"{split}/{score}"
        for split, scores in _SCORES.items()
        for score in dict.fromkeys((metric, *scores))
    ]
    for name in (*spread, *_COSTS):
        # Sorted, so that the sums do not depend on the order in which runs ended.
        values = sorted(float(row[name]) for row in rows if name in row)
        if values:
            found[name] = statistics.fmean(values)
        if len(values) > 1 and name in spread:
            found[f"{name}_std"] = statistics.stdev(values)
    return found
