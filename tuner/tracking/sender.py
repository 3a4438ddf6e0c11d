"""Make the writing calls of a study in a thread of its own: no study waits for its tracker."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner.tracking.absence import Absence
from tuner.tracking.call_file import CallFile
from tuner.tracking.calls import Call, Closing, OpenGroup, Opening, OpenRun
from tuner.tracking.faults import ServerAway, StoreRefused, TrackerAway, TrackerRefused
from tuner.tracking.remote_scribe import RemoteScribe

_LOG = logging.getLogger(__name__)
_SECONDS_ASIDE = 0.1
"""How long a call waits, so that what the study does next comes first."""
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0
_SECONDS_TO_SETTLE = 600.0
_SECONDS_TO_HURRY = 3.0
_MADE_BEFORE_TIDYING = 1000


@dataclass(frozen=True)
class _Kept:
    """A call that waits, with those that open its group and run."""

    call: Call
    openings: Sequence[Opening]

    @property
    def group(self) -> OpenGroup:
        opening = self.openings[0]
        assert isinstance(opening, OpenGroup)
        return opening


class Sender:
    """Keeps calls, in memory and in a file, until a thread has made them in their order.

    While the tracker's server is away the thread tries again until it is back. A launcher that
    dies leaves the file: the next to open the study makes its calls. A group or run has an id
    that stands for the tracker's.

    Args:
        scribe: Writes to the store.
        name: The store's address, for messages.
        folder: Where calls are kept.
        seconds_to_settle: How long `settle` waits for a server.

    Attributes:
        guard: Called before each call is made; raises if it must not be.
    """

    def __init__(
        self,
        scribe: RemoteScribe,
        name: str,
        folder: Path,
        *,
        seconds_to_settle: float = _SECONDS_TO_SETTLE,
    ) -> None:
        self.guard: Callable[[], None] = lambda: None
        self._scribe = scribe
        self._name = name
        self._folder = folder
        self._seconds_to_settle = seconds_to_settle
        self._changed = threading.Condition()
        self._waiting: deque[_Kept] = deque()
        self._urgent = threading.Event()
        self._away = False
        self._files: dict[str, CallFile] = {}
        self._openings: dict[str, Opening] = {}
        self._ids: dict[str, str] = {}
        self._fault: Exception | None = None

    def do(self, call: Call) -> str:
        """Keep a call until it is made; return the id of its group or run.

        A call of a shared group is made before this returns, unless the server is away: other
        launchers are to see it.

        Raises:
            TrackerRefused: The store did not take an earlier call.
        """
        with self._changed:
            if self._fault is not None:
                raise self._fault
            shared = self._keep(call)
        if shared:
            self.catch_up()
        return call.id

    def catch_up(self) -> None:
        """Wait until every call is made, or the server is known to be away.

        Raises:
            TrackerRefused: It did not take one.
        """
        with self._changed:
            self._urgent.set()
            self._changed.wait_for(lambda: self._fault or self._away or not self._waiting)
            if self._fault is not None:
                raise self._fault

    def hurry(self) -> None:
        """From some seconds on, take a server that does not answer for one that is away."""
        timer = threading.Timer(_SECONDS_TO_HURRY, self._wait_no_more)
        timer.daemon = True
        timer.start()

    def settle(self) -> None:
        """Wait until every call is made.

        Raises:
            TrackerAway: The server did not come back in time.
        """
        self.catch_up()
        with self._changed:
            if self._waiting:
                _LOG.warning(
                    "MLflow %s: waiting for it to take %d writes, at most %.0f s",
                    *(self._name, len(self._waiting), self._seconds_to_settle),
                )
            self._changed.wait_for(
                lambda: self._fault is not None or not self._waiting, self._seconds_to_settle
            )
            if self._fault is not None:
                raise self._fault
            if self._waiting:
                raise TrackerAway(
                    f"MLflow {self._name} is away; {len(self._waiting)} writes are kept in "
                    f"{self._folder}, and the same command sends them"
                )

    def _keep(self, call: Call) -> bool:
        """Keep a call, the lock being held; say if other launchers wait for it."""
        if isinstance(call, Opening):
            self._openings[call.id] = call
        openings = self._opened_by(call.id)
        if not openings:
            return False  # closed before: nothing is written to it any more
        kept = _Kept(call, openings)
        self._write(kept)
        self._waiting.append(kept)
        if len(self._waiting) == 1:
            self._urgent.clear()
            threading.Thread(target=self._send, daemon=True).start()
        if isinstance(call, Closing):
            self._openings.pop(call.id, None)
        return kept.group.shared and isinstance(call, OpenGroup | Closing)

    def _opened_by(self, run_id: str) -> list[Opening]:
        """Return the calls that opened a run's group and the run, or a group alone."""
        opening = self._openings.get(run_id)
        if opening is None or isinstance(opening, OpenGroup):
            return [opening] if opening else []
        return [*self._opened_by(opening.group_id), opening]

    def _write(self, kept: _Kept) -> None:
        study = kept.group.group.study
        if study not in self._files:
            self._files[study] = CallFile(self._folder, self._name, study)
        self._files[study].add(kept.call, kept.openings)

    def _send(self) -> None:
        """Make the kept calls, in a thread of its own, which ends when there are none."""
        self._urgent.wait(_SECONDS_ASIDE)
        absence, refused, wait = Absence(self._name, self._folder), None, _FIRST_WAIT
        while True:
            first = self._waiting[0]
            try:
                self._send_kept(absence)
            except Exception as error:
                stuck = self._waiting[0]
                if isinstance(error, ServerAway):
                    absence.note(error)
                    self._tell_away()
                elif stuck is refused:
                    self._fail(error)
                    return
                else:
                    # Two launchers that write the same at once can be in each other's way.
                    refused = stuck
                wait = wait if stuck is first else _FIRST_WAIT
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
            else:
                absence.end()
                return

    def _send_kept(self, absence: Absence) -> None:
        made = 0
        while True:
            self.guard()
            absence.ask()
            self._make(self._waiting[0].call)
            made += 1
            with self._changed:
                self._waiting.popleft()
                if self._waiting and made % _MADE_BEFORE_TIDYING:
                    continue
                for file in self._files.values():
                    file.remove()
                for kept in self._waiting:
                    self._write(kept)
                if not self._waiting:
                    self._away = False
                    self._changed.notify_all()
                    return

    def _make(self, call: Call) -> None:
        named = {call.id, call.group_id} if isinstance(call, OpenRun) else {call.id}
        ids = {name: self._ids[name] for name in named if name in self._ids}
        self._ids[call.id] = self._scribe.make(call, ids)

    def _tell_away(self) -> None:
        with self._changed:
            self._away = True
            self._changed.notify_all()

    def _wait_no_more(self) -> None:
        if self._waiting:
            self._tell_away()

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._fault = error
            for file in self._files.values():
                file.leave()
            if isinstance(error, StoreRefused):
                self._fault = TrackerRefused(
                    f"MLflow {self._name}: {error}; {len(self._waiting)} writes are "
                    f"kept in {self._folder}"
                )
                self._fault.__cause__ = error
            self._changed.notify_all()
