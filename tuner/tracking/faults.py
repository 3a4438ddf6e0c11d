"""Name what goes wrong between a study and its tracker, each in one line."""

from __future__ import annotations

from trainers.errors import TunerError


class TrackerAway(TunerError):
    """A server could not be reached, so that a study is done but not all of it tracked."""

    exit_code = 1


class TrackerRefused(TunerError):
    """MLflow does not take what is written to it."""

    exit_code = 1
