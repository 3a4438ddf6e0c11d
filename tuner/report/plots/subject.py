"""Hold what the pictures of one task and model share: its rows, its arms and their looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuner.report.comparison import Comparison, Row

# Okabe and Ito's colours that show on white and on black, those of most contrast first.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
# Five and seven have no factor in common with six: 210 arms before two look alike.
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (9, 2)))


@dataclass(frozen=True)
class Look:
    """How an arm is drawn in every picture; arms differ in more than their colour."""

    colour: str
    marker: str
    dashes: Any
    """matplotlib's line style."""


@dataclass(frozen=True)
class Subject:
    """The arms of one task and model, which are compared."""

    comparison: Comparison
    task: str
    model: str
    looks: Mapping[str, Look]

    @property
    def metric(self) -> str:
        """The metric that arms are compared by."""
        return self.comparison.metric

    @property
    def title(self) -> str:
        """The end of a picture's title: task and model."""
        return f"{self.task} · {self.model}"

    @property
    def where(self) -> str:
        """Task and model inside a sentence."""
        return f"on {self.task} with {self.model}"

    def rows(self, table: str) -> list[Row]:
        """Return the rows of a frame that are about this task and model."""
        return self.comparison.rows(table, self.task, self.model)

    def by_arm(self, rows: Sequence[Row]) -> dict[str, list[Row]]:
        """Return rows by their arms, in the order of every picture."""
        found: dict[str, list[Row]] = {arm: [] for arm in self.looks}
        for row in rows:
            found[row["arm"]].append(row)
        return {arm: rows for arm, rows in found.items() if rows}


def arm_looks(comparison: Comparison) -> dict[str, Look]:
    """Give every arm of a comparison its look, in the order of names."""
    frames = (comparison.frames[name] for name in ("cells", "trials", "budget", "ranks"))
    arms = sorted({str(arm) for frame in frames for arm in frame["arm"].unique()})
    return {
        arm: Look(
            colour=_COLOURS[place % len(_COLOURS)],
            marker=_MARKERS[place % len(_MARKERS)],
            dashes=_DASHES[place % len(_DASHES)],
        )
        for place, arm in enumerate(arms)
    }
