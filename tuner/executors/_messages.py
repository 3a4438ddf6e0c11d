"""Messages from a run to its launcher, over a pipe or a cluster: events, files, the end."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from trainers.contract import RunEvent, RunResult
from trainers.errors import LostRank, OutOfMemory, RunFailed, TunerError, one_line, run_failure


@dataclass(frozen=True)
class Message:
    """A message of a run. Events and files come first, the end of the run is the last."""

    kind: str
    """event, file, result, or the kind of a RunFailed."""
    text: str
    """JSON of the event or result; name of the file; reason of the failure."""
    detail: str = ""
    """Last lines of a failed run's standard error, or a traceback; of OutOfMemory, the phase."""
    content: bytes = b""
    """The next bytes of the file."""

    def failure(self) -> RunFailed:
        """Return the failure that this message reports."""
        return run_failure(self.kind, self.text, self.detail)


def event_message(event: RunEvent) -> Message:
    """Return the message of an event."""
    return Message("event", event.model_dump_json())


def result_message(result: RunResult) -> Message:
    """Return the message of a run that ended with a result."""
    return Message("result", result.model_dump_json())


def failure_message(error: BaseException) -> Message:
    """Return the message of a run that ended with an exception; call it in its handler."""
    if isinstance(error, OutOfMemory):
        return Message(error.kind, error.reason, error.during)
    if isinstance(error, LostRank):
        return Message(error.kind, error.reason, traceback.format_exc())
    if isinstance(error, RunFailed):
        return Message(error.kind, error.reason, error.detail)
    if isinstance(error, TunerError):
        return Message(RunFailed.kind, str(error))
    return Message(RunFailed.kind, one_line(error), traceback.format_exc())
