"""The writing calls of a tracker as values, which can wait in a file and be made later."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from uuid import uuid4

from pydantic import Field

from trainers.contract import RunEvent, RunResult, RunSpec
from trainers.plugins import Frozen
from tuner.tracking.base import Group, RunState
from tuner.tracking.lifecycle import LifecycleTracker


class _Call(Frozen):
    id: str
    """Of the group or run, as the study knows it."""
    key: str = Field(default_factory=lambda: uuid4().hex)
    """No other call's."""
    seconds: float = Field(default_factory=time.time)
    """When it was made, since 1970."""


class OpenGroup(_Call):
    """`Tracker.open_group`, which gives the group its id."""

    call: Literal["open_group"] = "open_group"
    group: Group
    params: dict[str, str]
    shared: bool = False


class OpenRun(_Call):
    """`Tracker.open_run`, which gives the run its id."""

    call: Literal["open_run"] = "open_run"
    group_id: str
    spec: RunSpec
    adopt: bool
    extra: dict[str, str]


class Log(_Call):
    """`Tracker.log`."""

    call: Literal["log"] = "log"
    events: tuple[RunEvent, ...]


class CloseRun(_Call):
    """`Tracker.close_run`."""

    call: Literal["close_run"] = "close_run"
    state: RunState
    reason: str
    result: RunResult | None = None
    folder: Path | None = None


class CloseGroup(_Call):
    """`Tracker.close_group`."""

    call: Literal["close_group"] = "close_group"
    state: RunState
    reason: str
    metrics: dict[str, float]


class LogModel(_Call):
    """`Tracker.log_model`."""

    call: Literal["log_model"] = "log_model"
    folder: Path


Opening: TypeAlias = OpenGroup | OpenRun
Closing: TypeAlias = CloseGroup | CloseRun
Call: TypeAlias = Annotated[Opening | Log | Closing | LogModel, Field(discriminator="call")]


def make(call: Call, tracker: LifecycleTracker, ids: MutableMapping[str, str]) -> str:
    """Make a call, under a stamp, so that it may be made again.

    Args:
        call: The call.
        tracker: Whom it is made of.
        ids: The tracker's ids of groups and runs, where the study knows them by others; what the
            call opens is entered.

    Returns:
        The tracker's id of the group or run.
    """
    with tracker.stamped(call.key, call.seconds):
        if isinstance(call, OpenGroup):
            ids[call.id] = tracker.open_group(call.group, call.params, shared=call.shared)
        elif isinstance(call, OpenRun):
            group_id = ids.get(call.group_id, call.group_id)
            ids[call.id] = tracker.open_run(
                group_id, call.spec, adopt=call.adopt, extra=call.extra
            )
        run_id = ids.get(call.id, call.id)
        if isinstance(call, Log):
            tracker.log(run_id, call.events)
        elif isinstance(call, CloseRun):
            end = call.model_dump(include={"state", "reason", "folder"})
            tracker.close_run(run_id, **end, result=call.result)
        elif isinstance(call, CloseGroup):
            end = call.model_dump(include={"state", "reason", "metrics"})
            tracker.close_group(run_id, **end)
        elif isinstance(call, LogModel) and call.folder.is_dir():
            tracker.log_model(run_id, call.folder)
    return run_id
