"""Say numbers and what the seeds can tell in words, without any markup."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

LEVEL = 0.05
"""Level of significance that the notes speak of."""

CAPTION = (
    "Scores are on the test split, in points (a loss in nats), mean ± standard deviation of the "
    "sample over n seeds. Peak memory is the largest of the training phase over the runs, "
    "seconds the mean wall time of a run."
)

NONE = "-"
"""Stands for a number that there is none of."""


def score_text(row: Mapping[str, Any], score: str) -> str:
    """Return mean ± standard deviation, in points unless it is a loss."""
    mean, spread = row[f"{score}_mean"], row[f"{score}_std"]
    if missing(mean):
        return NONE
    factor, digits = (1, 4) if score == "loss" else (100, 2)
    shown = f"{factor * mean:.{digits}f}"
    return shown if missing(spread) else f"{shown} ± {factor * spread:.{digits}f}"


def parameters_text(count: Any) -> str:
    """Return a count of parameters, from 5,000 on in millions, such as `0.30 M`."""
    if missing(count):
        return NONE
    return f"{count / 1e6:.2f} M" if count >= 5_000 else str(int(count))


def bytes_text(count: Any) -> str:
    """Return a number of bytes in MiB, from 1 GiB on in GiB."""
    if missing(count):
        return NONE
    gibibytes = count / 2**30
    return f"{gibibytes:.2f} GiB" if gibibytes >= 1 else f"{count / 2**20:.0f} MiB"


def seconds_text(seconds: Any) -> str:
    """Return seconds to a tenth."""
    return NONE if missing(seconds) else f"{seconds:.1f}"


def run_notes(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say which arms lack runs, and which runs are not shown."""
    for row in rows:
        if row["failed_runs"]:
            yield f"{row['arm']}: {_count(row['failed_runs'], 'run')} failed."
        if row["left_out_runs"]:
            older = _count(row["left_out_runs"], "older run")
            yield f"{row['arm']}: {older} of another definition of the arm left out."


def seed_notes(seeds: Mapping[str, frozenset[Any]]) -> Iterator[str]:
    """Say what the exact sign-flip test over shared seeds can and cannot tell.

    With n pairs it flips n signs, so that no two-sided p is below 2/2^n.

    Args:
        seeds: The seeds of each arm's finished runs.
    """
    pairs: defaultdict[int, list[str]] = defaultdict(list)
    for first, second in itertools.combinations(seeds, 2):
        pairs[len(seeds[first] & seeds[second])].append(f"{first} and {second}")
    for shared, names in sorted(pairs.items()):
        which = "" if len(pairs) == 1 else f" ({'; '.join(names)})"
        if shared == 0:
            yield f"No seed is shared{which}, so there is nothing to pair."
            continue
        least = min(1.0, 2 / 2**shared)
        floor = (
            f"With {_count(shared, 'shared seed')} the exact two-sided paired sign-flip test "
            f"cannot go below p = 2/2^{shared} = {least:.4g}"
        )
        if least > LEVEL:
            end = f"the differences{which} are not separable with {_count(shared, 'seed')}"
            yield f"{floor}: at the {LEVEL:.0%} level {end}."
        else:
            end = f"differences{which} could be separated at the {LEVEL:.0%} level"
            yield f"{floor}: {end}; no test was made here."


def missing(value: Any) -> bool:
    """Tell whether a table's cell is empty."""
    import pandas

    return value is None or value is pandas.NA or (isinstance(value, float) and math.isnan(value))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
