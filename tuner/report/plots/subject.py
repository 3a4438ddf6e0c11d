"""Hold what the pictures of one task and model share: its rows, its arms and their looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuner.report.comparison import Comparison, Row

INK = "ink"
"""The colour of text: black on white, and white where a page is dark."""
# Okabe and Ito's colours that show on white and on black, those of most contrast first.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_METHODS = ("lora", "bottleneck", "head", "bitfit", "ia3", "prefix")
"""Methods with a colour of their own; others take those that a comparison leaves free."""
_BLACK = "full"
# Five and seven have no factor in common with six: 210 arms before two look alike.
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (9, 2)))


@dataclass(frozen=True)
class Look:
    """How an arm is drawn in every picture; arms differ in more than their colour."""

    shade: str
    """A colour in hex digits, or `INK`."""
    marker: str
    dashes: Any
    """matplotlib's line style."""

    @property
    def colour(self) -> str:
        """Return the colour in the picture that is being painted."""
        return ink() if self.shade == INK else self.shade


def ink() -> str:
    """Return the colour of text in the picture that is being painted."""
    import matplotlib

    return str(matplotlib.rcParams["text.color"])


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

    def page(self, run_id: Any) -> str | None:
        """Return the address of MLflow's page of a run; None where there is none."""
        return self.comparison.pages.get(run_id)

    def by_arm(self, rows: Sequence[Row]) -> dict[str, list[Row]]:
        """Return rows by their arms, in the order of every picture."""
        found: dict[str, list[Row]] = {arm: [] for arm in self.looks}
        for row in rows:
            found[row["arm"]].append(row)
        return {arm: rows for arm, rows in found.items() if rows}


def arm_looks(comparison: Comparison) -> dict[str, Look]:
    """Give every arm of a comparison its look: the colour of its method, a marker of its own."""
    frames = (comparison.frames[name] for name in ("cells", "trials", "budget", "ranks"))
    arms = sorted({str(arm) for frame in frames for arm in frame["arm"].unique()})
    cells = comparison.frames["cells"]
    method_of = dict(zip(cells["arm"], cells["method"], strict=True))
    shades = _shades([str(method_of.get(arm, arm)) for arm in arms])
    return {
        arm: Look(
            shade=shades[str(method_of.get(arm, arm))],
            marker=_MARKERS[place % len(_MARKERS)],
            dashes=_DASHES[place % len(_DASHES)],
        )
        for place, arm in enumerate(arms)
    }


def _shades(methods: Sequence[str]) -> dict[str, str]:
    """Return the colour of each method: its own, the next free one, or one that is taken."""
    own = dict(zip(_METHODS, _COLOURS, strict=True)) | {_BLACK: INK}
    found = {method: own[method] for method in methods if method in own}
    free = [colour for colour in _COLOURS if colour not in found.values()] or list(_COLOURS)
    others = [method for method in dict.fromkeys(methods) if method not in found]
    return found | {method: free[place % len(free)] for place, method in enumerate(others)}
