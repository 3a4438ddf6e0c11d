"""Foretell what a study takes before anything runs: runs, seconds, disk, seeds."""

from __future__ import annotations

from tuner.forecast.time.build import Wishes, estimate_study
from tuner.forecast.time.estimate import Estimate

__all__ = ["Estimate", "Wishes", "estimate_study"]
