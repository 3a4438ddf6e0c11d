"""Name what goes wrong between a study and its tracker, each in one line."""

from __future__ import annotations

from collections.abc import Iterable

from trainers.errors import ConfigError, TunerError, known


class UnknownStudy(ConfigError):
    """A study that a store does not have."""

    def __init__(self, study: str, held: Iterable[str]) -> None:
        super().__init__(
            f"study {study!r}: not in the store; studies there: {known(held) or 'none'}"
        )


class TrackerAway(TunerError):
    """A server that could not be reached, so that a study is done but not all of it tracked."""

    exit_code = 1


class TrackerRefused(TunerError):
    """The store does not take what is written to it."""

    exit_code = 1


class ServerAway(Exception):  # a state, not an error
    """A server could not be reached, or takes the login no more: it may be asked again later."""


class StoreRefused(Exception):  # becomes a TrackerRefused where nothing else helps
    """The store did not take a call. The text is the reason, in one line."""
