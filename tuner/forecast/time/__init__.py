"""Estimate the runs, seconds, disk space and seeds of a study before it runs: `tuner plan`."""

from __future__ import annotations

from tuner.forecast.time.estimate import EstimateOptions, estimate_study
from tuner.forecast.time.forecasts import Count, Estimate, PairSpread, SeedsForecast, Span

__all__ = [
    "Count",
    "Estimate",
    "EstimateOptions",
    "PairSpread",
    "SeedsForecast",
    "Span",
    "estimate_study",
]
