"""Count the runs that failed, and tell a fault of a whole cell from an accident of one run."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from trainers.errors import TunerError
from tuner.config import Cell
from tuner.store.outcome import Outcome


class TooManyFailures(TunerError):
    """More runs failed than the study bears."""

    exit_code = 1


class Failures:
    """What went wrong in one call of `run_study`. Thread-safe.

    A cell has a fault where its model and method cannot be put together, or where two of its
    runs fail in the same words before any has ended otherwise. Such a cell is done no further,
    and its runs do not count as failures. Nor do those that diverge.
    """

    def __init__(self, bearable: int, known: Mapping[str, str]) -> None:
        """Begin to count.

        Args:
            bearable: Failed runs that the study goes on after.
            known: By label, what is wrong with cells that are not to be begun.
        """
        self.faults: dict[str, str] = dict(known)
        """What is wrong with a cell, by its label."""
        self._bearable = bearable
        self._diverged: list[str] = []
        self._failed: list[tuple[str, str, str]] = []
        self._sound: set[str] = set()
        self._unbuilt: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for every cell that was given up, and for every other run that has no score."""
        given_up = (f"{label}: {reason}" for label, reason in self.faults.items())
        return (*given_up, *self._failed_lines(), *self._diverged)

    def note(self, cell: Cell, title: str, outcome: Outcome, *, of_point: bool = False) -> None:
        """Take note of how a run of a cell ended.

        Args:
            cell: The cell.
            title: Names the run.
            outcome: How it ended.
            of_point: What cannot be built is a point of the space: other points may be.
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
        """Take note of a confirm run that diverged: its score is missing in the table."""
        with self._lock:
            self._diverged.append(f"{title}: diverged: {outcome.reason}")

    def give_up(self, cell: Cell, reason: str) -> None:
        """Do a cell no further."""
        with self._lock:
            self._give_up(cell.label, reason)

    def fault_of(self, cell: Cell) -> str:
        """Return why a cell is done no further; empty where it is."""
        return self.faults.get(cell.label, "")

    def bear(self) -> None:
        """Go on, or give up.

        Raises:
            TooManyFailures: One more run failed than the study bears.
        """
        with self._lock:
            lines = self._failed_lines()
        if len(lines) > self._bearable:
            raise TooManyFailures(
                f"{len(lines)} runs failed, max_failures is {self._bearable}; "
                f"the last: {lines[-1]}"
            )

    def _failed_lines(self) -> list[str]:
        return [f"{title}: {reason}" for _, title, reason in self._failed]

    def _give_up(self, label: str, reason: str) -> None:
        self.faults.setdefault(label, reason)
        self._failed = [failed for failed in self._failed if failed[0] != label]
