"""Make the calls that launchers which died could not make any more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainers.errors import ConfigError
from tuner.tracking.base import LAUNCHER_DIED
from tuner.tracking.call_file import left_behind
from tuner.tracking.calls import (
    Call,
    CloseGroup,
    CloseRun,
    Closing,
    OpenGroup,
    Opening,
    OpenRun,
    make,
)
from tuner.tracking.lifecycle import LifecycleTracker
from tuner.tracking.server import is_away, reason_of


def make_left(tracker: LifecycleTracker, name: str, folder: Path, study: str) -> None:
    """Make what dead launchers of a study have left; their unfinished runs end as killed.

    Args:
        tracker: Writes to the store.
        name: The store's address.
        folder: Where calls are kept.
        study: The study, which is open.

    Raises:
        ConfigError: The server is away.
    """
    for left in left_behind(folder, name, study):
        try:
            _make_all(left.calls, tracker)
        except Exception as error:
            if is_away(error):
                raise ConfigError(f"MLflow {name}: {reason_of(error)}") from error
            error.add_note(f"while sending what {left.path} holds; without it the study goes on")
            raise


def _make_all(calls: Sequence[Call], tracker: LifecycleTracker) -> None:
    """Make the calls of one launcher, except on groups that others have ended since."""
    ids: dict[str, str] = {}
    unclosed: dict[str, Opening] = {}
    ended: set[str] = set()
    for call in calls:
        if isinstance(call, OpenGroup):
            if tracker.has_ended(call.group):
                ended.add(call.id)
            call = call.model_copy(update={"shared": True})  # others may have made it
        elif isinstance(call, OpenRun) and call.group_id in ended:
            ended.add(call.id)
        if call.id in ended:
            continue
        make(call, tracker, ids)
        if isinstance(call, Opening):
            unclosed[call.id] = call
        elif isinstance(call, Closing):
            unclosed.pop(call.id, None)
    end = {"state": "killed", "reason": LAUNCHER_DIED}
    for opening in reversed(unclosed.values()):
        if isinstance(opening, OpenGroup):
            make(CloseGroup(id=opening.id, **end, metrics={}), tracker, ids)
        else:
            make(CloseRun(id=opening.id, **end), tracker, ids)
