"""Hold what a run has to say until the launcher, which may be far away, has read it."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

_SECONDS_TO_WAIT = 10.0
_MOST_CHUNKS = 8


@dataclass(frozen=True)
class Message:
    """Something a run says. Events and files come first, its end is the last."""

    kind: str
    """event, file, result, or the kind of a RunFailed."""
    text: str
    """JSON of the event or result; name of the file; reason of the failure."""
    detail: str = ""
    """Last lines of a failed run's standard error; phase in which memory ran out."""
    content: bytes = b""
    """The next bytes of the file."""


class Outbox:
    """Messages in order, each kept until the reader says that it has seen it.

    So none is lost where an answer got lost, and none is read twice.
    """

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque()
        self._seen = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, message: Message) -> None:
        """Add a message; a file's bytes wait until there is room for them."""
        with self._changed:
            if message.kind == "file":
                self._changed.wait_for(lambda: self._closed or len(self._waiting) < _MOST_CHUNKS)
            self._waiting.append(message)
            self._changed.notify_all()

    def after(self, seen: int) -> list[Message]:
        """Return the messages after the first `seen`, or none if none comes within seconds."""
        with self._changed:
            while self._seen < seen:
                self._waiting.popleft()
                self._seen += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting, _SECONDS_TO_WAIT)
            return list(self._waiting)

    def close(self) -> None:
        """Let nobody wait any longer: the messages are not wanted."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
