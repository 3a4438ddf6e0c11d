"""Share a study's cells: each launcher takes cells of its own first, then helps with the rest."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from tuner.config import Cell
from tuner.store.claims import Claims
from tuner.study.threads import map_threads

_COMPLETE, _INCOMPLETE = "complete", "incomplete"


def share_cells(
    cells: Sequence[Cell],
    work: Callable[[Cell], bool],
    claims: Claims,
    *,
    at_once: int,
    on_error: Callable[[], None],
) -> list[bool]:
    """Return what `work` says of each cell: whether it is complete.

    A search learns from every trial before the next, so a cell is done by one launcher as long
    as there are others to do. A claim on a cell keeps nobody out of it.

    Args:
        cells: The study's cells.
        work: Does what is left of a cell.
        claims: The study's claims.
        at_once: Cells at once.
        on_error: Called at the first exception, to make the other threads end.
    """
    untouched, others, lock = deque(cells), deque[Cell](), threading.Lock()
    complete: dict[str, bool] = {}

    def do(cell: Cell, *, help_out: bool) -> None:
        name = f"cell {cell.label} {cell.fingerprint()}"
        taken = claims.take(name, lambda content, fresh: fresh and content == _COMPLETE)
        if taken is None and not help_out:
            others.append(cell)
        elif taken is None:
            complete[cell.label] = work(cell)
        elif taken.content is not None:
            complete[cell.label] = True  # another launcher has completed it since we began
        else:
            try:
                complete[cell.label] = work(cell)
            except BaseException:
                claims.release(name)
                raise
            claims.complete(name, _COMPLETE if complete[cell.label] else _INCOMPLETE)

    def take_cells(_: int) -> None:
        while True:
            with lock:
                help_out = not untouched
                queue = untouched or others
                if not queue:
                    return
                cell = queue.popleft()
            do(cell, help_out=help_out)

    map_threads(take_cells, range(at_once), at_once, on_error=on_error)
    return [complete[cell.label] for cell in cells]
