"""Share a study's cells: each launcher takes whole cells first, then helps with the rest."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence

from tuner.config import Cell
from tuner.store import RunInterrupted
from tuner.store.attempts import Attempts, cells_topic
from tuner.store.database import Outage
from tuner.store.journal import Journal
from tuner.store.leases import LauncherReplaced
from tuner.study.threads import map_threads

_COMPLETE, _INCOMPLETE = "complete", "incomplete"


def share_cells(
    cells: Sequence[Cell],
    work: Callable[[Cell], bool],
    journal: Journal,
    *,
    at_once: int,
    on_error: Callable[[], None],
) -> list[bool]:
    """Return for each cell whether it is complete.

    A search learns from every trial before the next, so a cell is done by one launcher as long
    as there are others to do. An attempt at a cell does not exclude other launchers.

    Args:
        cells: The study's cells.
        work: Does the rest of a cell; returns whether it is complete then.
        journal: The store's.
        at_once: Cells at once.
        on_error: Called at the first exception, to end the other threads.
    """
    shared = _Shared(Attempts(journal, cells_topic(cells[0].study.name)))
    untouched, others, lock = deque(cells), deque[Cell](), threading.Lock()
    complete: dict[str, bool] = {}

    def take_cells(_: int) -> None:
        while True:
            with lock:
                help_out = not untouched
                queue = untouched or others
                if not queue:
                    return
                cell = queue.popleft()
            done = shared.do(cell, work, help_out=help_out)
            if done is None:
                others.append(cell)
            else:
                complete[cell.label] = done

    map_threads(take_cells, range(at_once), at_once, on_error=on_error)
    return [complete[cell.label] for cell in cells]


class _Shared:
    """The cells of a study as launchers share them."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._before = {name: len(tried) for name, tried in attempts.all().items()}

    def do(self, cell: Cell, work: Callable[[Cell], bool], *, help_out: bool) -> bool | None:
        """Do a cell; return whether it is complete, or None to leave it to another launcher."""
        name = f"{cell.label} {cell.fingerprint()}"
        if self._is_done(name):
            return True
        attempt = self._attempts.take(name)
        if attempt is None:
            return work(cell) if help_out else None
        try:
            complete = work(cell)
        except BaseException:
            with contextlib.suppress(LauncherReplaced, Outage, RunInterrupted):
                self._attempts.end(attempt)
            raise
        self._attempts.end(attempt, _COMPLETE if complete else _INCOMPLETE)
        return complete

    def _is_done(self, name: str) -> bool:
        """Return whether another launcher has completed a cell since this one was started."""
        since = self._attempts.of(name)[self._before.get(name, 0) :]
        return any(attempt.ended == _COMPLETE for attempt in since)
