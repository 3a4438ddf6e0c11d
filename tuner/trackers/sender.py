"""Make the calls of a study of its server, at once or as soon as the server is back."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from trainers.errors import ConfigError
from tuner.trackers.base import LAUNCHER_DIED, TrackerAway
from tuner.trackers.call_file import CallFile, left_behind
from tuner.trackers.calls import Call, CloseGroup, CloseRun, Closing, OpenGroup, Opening, make
from tuner.trackers.lifecycle import LifecycleTracker
from tuner.trackers.server import is_away, reason_of

_LOG = logging.getLogger(__name__)
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0
_SECONDS_TO_SETTLE = 600.0


class Sender:
    """Passes calls on while the server is there, and keeps them while it is away.

    When a call fails because the server is away, that call and those after it are kept, in memory
    and in a file, and a thread makes them again in their order until the server is back. A
    launcher that dies in between leaves the file: the next to open the study begins with it. A
    group or run that is opened meanwhile gets an id that stands for the server's.

    Args:
        tracker: Writes to the server.
        server: Its address, for messages.
        folder: Where calls wait.
        seconds_to_settle: How long `settle` waits for the server.
    """

    def __init__(
        self,
        tracker: LifecycleTracker,
        server: str,
        folder: Path,
        *,
        seconds_to_settle: float = _SECONDS_TO_SETTLE,
    ) -> None:
        self._tracker = tracker
        self._server = server
        self._folder = folder
        self._seconds_to_settle = seconds_to_settle
        self._changed = threading.Condition()
        self._waiting: deque[Call] = deque()
        self._files: dict[str, CallFile] = {}
        self._openings: dict[str, Opening] = {}
        self._ids: dict[str, str] = {}
        self._fault: Exception | None = None

    def do(self, call: Call) -> str:
        """Make a call, or keep it; return the id of its group or run.

        Raises:
            Exception: The server is there and refuses this call, or refused one that was kept.
        """
        with self._changed:
            if self._fault is not None:
                raise self._fault
            if self._waiting:
                return self._keep(call)
        try:
            run_id = make(call, self._tracker, self._ids)
        except Exception as error:
            if not is_away(error):
                raise
            with self._changed:
                return self._keep(call)
        if isinstance(call, Opening):
            self._openings[run_id] = call.model_copy(update={"id": run_id})
        elif isinstance(call, Closing):
            self._openings.pop(call.id, None)
        return run_id

    def make_left(self, study: str) -> None:
        """Make what dead launchers of a study have left; their unfinished runs end as killed.

        Raises:
            ConfigError: The server is away.
        """
        for left in left_behind(self._folder, self._server, study):
            try:
                self._make_left(left.calls)
            except Exception as error:
                if is_away(error):
                    raise ConfigError(f"MLflow {self._server}: {reason_of(error)}") from error
                error.add_note(
                    f"while sending what {left.path} holds; without it the study goes on"
                )
                raise

    def settle(self) -> None:
        """Wait until every call is made.

        Raises:
            TrackerAway: The server did not come back in time.
        """
        with self._changed:
            if self._waiting:
                _LOG.warning(
                    "MLflow %s: waiting for it to take %d writes, at most %.0f s",
                    *(self._server, len(self._waiting), self._seconds_to_settle),
                )
            self._changed.wait_for(
                lambda: self._fault is not None or not self._waiting, self._seconds_to_settle
            )
            if self._fault is not None:
                raise self._fault
            if self._waiting:
                raise TrackerAway(
                    f"MLflow {self._server} is away; {len(self._waiting)} writes are kept in "
                    f"{self._folder}, and the same command sends them"
                )

    def _keep(self, call: Call) -> str:
        """Keep a call for later; the lock is held."""
        if isinstance(call, Opening):
            self._openings[call.id] = call
        openings = self._opened_by(call.id)
        if not openings:
            return call.id  # closed before: nothing is written to it any more
        group = openings[0]
        assert isinstance(group, OpenGroup)
        study = group.group.study
        if study not in self._files:
            self._files[study] = CallFile(self._folder, self._server, study)
        self._files[study].add(call, openings)
        self._waiting.append(call)
        if len(self._waiting) == 1:
            threading.Thread(target=self._send, daemon=True).start()
        if isinstance(call, Closing):
            self._openings.pop(call.id, None)
        return call.id

    def _opened_by(self, run_id: str) -> list[Opening]:
        """Return the calls that opened a run's group and the run, or a group alone."""
        opening = self._openings.get(run_id)
        if opening is None or isinstance(opening, OpenGroup):
            return [opening] if opening else []
        return [*self._opened_by(opening.group_id), opening]

    def _send(self) -> None:
        """Make the kept calls, in a thread of its own, which ends when there are none."""
        begun, wait, said = time.monotonic(), _FIRST_WAIT, False
        while True:
            time.sleep(wait)
            first = self._waiting[0]
            try:
                self._send_kept()
            except Exception as error:
                if not is_away(error):
                    self._fail(error)
                    return
                if not said:  # the second failure: not just a connection that was lost
                    said = True
                    _LOG.warning(
                        "MLflow %s is away (%s); the study goes on, what it writes is kept in %s",
                        *(self._server, reason_of(error), self._folder),
                    )
                moved = self._waiting[0] is not first
                wait = _FIRST_WAIT if moved else min(2 * wait, _LONGEST_WAIT)
            else:
                if said:
                    seconds = time.monotonic() - begun
                    _LOG.warning("MLflow %s is back after %.0f s", self._server, seconds)
                return

    def _send_kept(self) -> None:
        while True:
            make(self._waiting[0], self._tracker, self._ids)
            with self._changed:
                self._waiting.popleft()
                if self._waiting:
                    continue
                for file in self._files.values():
                    file.remove()
                self._changed.notify_all()
                return

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._fault = error
            self._changed.notify_all()

    def _make_left(self, calls: Sequence[Call]) -> None:
        ids: dict[str, str] = {}
        unclosed: dict[str, Opening] = {}
        for call in calls:
            make(call, self._tracker, ids)
            if isinstance(call, Opening):
                unclosed[call.id] = call
            elif isinstance(call, Closing):
                unclosed.pop(call.id, None)
        end = {"state": "killed", "reason": LAUNCHER_DIED}
        for opening in reversed(unclosed.values()):
            if isinstance(opening, OpenGroup):
                make(CloseGroup(id=opening.id, **end, metrics={}), self._tracker, ids)
            else:
                make(CloseRun(id=opening.id, **end), self._tracker, ids)
