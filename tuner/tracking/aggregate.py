"""Summarise the metrics of a configuration's runs: mean, standard deviation, n, interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

CONFIDENCE = 0.95


def aggregate(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return each metric's summary over runs, for the parent run.

    Args:
        rows: The metrics of each run. A run that lacks a metric does not count in its n.

    Returns:
        `<name>_mean` and `<name>_n`; with two values and more also `<name>_std` (of the sample,
        n - 1) and the ends of the 95% Student t interval of the mean, `_ci_low` and `_ci_high`.
    """
    summary: dict[str, float] = {}
    for name in sorted({name for row in rows for name in row}):
        # Sorted, so that the sums do not depend on the order in which runs ended.
        values = sorted(float(row[name]) for row in rows if name in row)
        for suffix, value in _summarise(values).items():
            summary[f"{name}_{suffix}"] = value
    return summary


def _summarise(values: Sequence[float]) -> dict[str, float]:
    count, mean = len(values), statistics.fmean(values)
    if count == 1:
        return {"mean": mean, "n": 1.0}
    from scipy.special import stdtrit

    spread = statistics.stdev(values)
    half = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * spread / math.sqrt(count)
    ends = {"ci_low": mean - half, "ci_high": mean + half}
    return {"mean": mean, "std": spread, "n": float(count), **ends}
