"""Count failed runs, and distinguish faults of whole cells from failures of single runs."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from trainers.errors import TunerError
from tuner.config import Cell
from tuner.store.outcome import Outcome


class TooManyFailures(TunerError):
    """More runs failed than the study tolerates."""

    exit_code = 1


class Failures:
    """The failures of one call of `run_study`. Thread-safe.

    A cell has a fault where its model and method do not fit together, or where two of its
    runs fail with the same message before any has ended otherwise. Such a cell is given up,
    and its runs do not count as failures. Nor do diverged runs.
    """

    def __init__(self, tolerated: int, known: Mapping[str, str]) -> None:
        """Start the count.

        Args:
            tolerated: Failed runs after which the study still continues.
            known: Faults of cells that are not to be begun, by label.
        """
        self.faults: dict[str, str] = dict(known)
        """Faults of cells, by label."""
        self._tolerated = tolerated
        self._diverged: list[str] = []
        self._failed: list[tuple[str, str, str]] = []
        self._sound: set[str] = set()
        self._unbuilt: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    @property
    def lines(self) -> tuple[str, ...]:
        """Return a line for every cell that was given up, and every other run without a score."""
        given_up = (f"{label}: {reason}" for label, reason in self.faults.items())
        return (*given_up, *self._failed_lines(), *self._diverged)

    def note(self, cell: Cell, title: str, outcome: Outcome, *, of_point: bool = False) -> None:
        """Note the end of a cell's run.

        Args:
            cell: The cell.
            title: Name of the run.
            outcome: Its outcome.
            of_point: A run that cannot be built is a fault of its point, not of the cell.
        """
        label, reason = cell.label, outcome.reason
        with self._lock:
            if outcome.state != "failed":
                self._sound.add(label)
                return
            if outcome.of_cell and of_point:
                if (label, reason) in self._unbuilt and label not in self._sound:
                    self._give_up(label, reason)
                self._unbuilt.add((label, reason))
                return
            alike = (label, reason) in [(other, words) for other, _, words in self._failed]
            self._failed.append((label, title, reason))
            if outcome.of_cell or (alike and label not in self._sound):
                self._give_up(label, reason)

    def note_diverged(self, title: str, outcome: Outcome) -> None:
        """Note a confirm run that diverged: its score is missing in the table."""
        with self._lock:
            self._diverged.append(f"{title}: diverged: {outcome.reason}")

    def give_up(self, cell: Cell, reason: str) -> None:
        """Give up a cell."""
        with self._lock:
            self._give_up(cell.label, reason)

    def fault_of(self, cell: Cell) -> str:
        """Return why a cell was given up; "" where it was not."""
        return self.faults.get(cell.label, "")

    def check(self) -> None:
        """Raise an error if too many runs have failed.

        Raises:
            TooManyFailures: More runs failed than the study tolerates.
        """
        with self._lock:
            lines = self._failed_lines()
        if len(lines) > self._tolerated:
            raise TooManyFailures(
                f"{len(lines)} runs failed, max_failures is {self._tolerated}; "
                f"the last: {lines[-1]}"
            )

    def _failed_lines(self) -> list[str]:
        return [f"{title}: {reason}" for _, title, reason in self._failed]

    def _give_up(self, label: str, reason: str) -> None:
        self.faults.setdefault(label, reason)
        self._failed = [failed for failed in self._failed if failed[0] != label]
