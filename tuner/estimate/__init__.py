"""Foretell what a study takes before anything runs: runs, seconds, disk, seeds."""

from __future__ import annotations

from tuner.estimate.build import Wishes, estimate_study
from tuner.estimate.forecast import Estimate

__all__ = ["Estimate", "Wishes", "estimate_study"]
