"""Count the further seeds that may settle what a comparison leaves open; name the command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tuner.report.comparison import Row
from tuner.report.wording import counted, listed, missing, verdict_text

LEAST_SEEDS = 5
"""Below, the number of seeds that would settle a comparison cannot be told."""


def settle(rows: Sequence[Row], studies: Sequence[str]) -> str:
    """Return how many seeds could settle what is open, and the command that adds them."""
    undecided, more = _undecided(rows), more_seeds(rows)
    if not undecided:
        return ""
    had = min(int(row["n"]) for row in undecided)
    if had < LEAST_SEEDS:
        return (
            f"With {counted(had, 'seed')} it cannot be told how many would settle it; "
            f"{LEAST_SEEDS} are the fewest that can: {_added(studies, more)}"
        )
    if not more:
        return "No number of seeds up to 1,000 is likely to settle what is open."
    nearest = _nearest(undecided)
    high = "over 1,000" if missing(nearest["seeds_high"]) else str(nearest["seeds_high"])
    where = f" on {nearest['task']}" if len({row["task"] for row in rows}) > 1 else ""
    wanted: dict[str, Any] = {**nearest, "verdict": nearest["nearest"]}
    return (
        f"{nearest['seeds_low']} to {high} seeds in all are likely to show whether "
        f"{nearest['arm_a']} is {_than(verdict_text(wanted), nearest['arm_b'])}{where}: "
        f"{_added(studies, more)}"
    )


def _undecided(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["verdict"] == "open" and row["n"]]


def _nearest(undecided: Sequence[Row]) -> Row:
    """Return the pair that the fewest seeds could settle."""
    told = [row for row in undecided if not missing(row["seeds_low"])]
    return min(told, key=lambda row: row["seeds_low"])


def more_seeds(rows: Sequence[Row]) -> int:
    """Return the fewest further seeds that may settle something; 0 where none are known to."""
    undecided = _undecided(rows)
    had = min((int(row["n"]) for row in undecided), default=LEAST_SEEDS)
    if had < LEAST_SEEDS:
        return LEAST_SEEDS - had
    if all(missing(row["seeds_low"]) for row in undecided):
        return 0
    nearest = _nearest(undecided)
    return max(1, int(nearest["seeds_low"]) - int(nearest["n"]))


def _added(studies: Sequence[str], seeds: int) -> str:
    commands = [f"tuner run-study {study} --seeds +{seeds}" for study in studies]
    return f"add {seeds} or more, with {listed(commands)}."


def _than(verdict: str, other: str) -> str:
    if verdict.startswith("equivalent"):
        return verdict.replace("equivalent", f"equivalent to {other}")
    word, _, more = verdict.partition(" by ")
    return f"{word} than {other}" + (f" by {more}" if more else "")
