"""Tabulate pairs of arms: differences seed by seed, with Holm's correction."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuner.report.columns import PAIRS
from tuner.report.planned import SeedKey, seed_text, seeds_of
from tuner.report.selection import Block, ComparedCell
from tuner.report.tables.frame import typed
from tuner.report.wording import UNSEEN, higher_is_better, main_scores
from tuner.store import RunRecord

if TYPE_CHECKING:
    import pandas

LEVEL = 0.05
"""Level of significance of every verdict."""


@dataclass(frozen=True)
class _Pair:
    """Two arms on one task and model, with their runs seed by seed."""

    a: ComparedCell
    b: ComparedCell
    metric: str
    runs_a: tuple[RunRecord, ...]
    runs_b: tuple[RunRecord, ...]
    only_a: tuple[SeedKey, ...]
    only_b: tuple[SeedKey, ...]

    def scores(self) -> tuple[list[float], list[float]]:
        """Return the scores of a and b, pair by pair; runs that share a seed are averaged."""
        from tuner.report.stats import independent_groups

        name = f"test/{self.metric}"
        groups = independent_groups([seeds_of(run) for run in self.runs_a])
        a, b = (
            [math.fsum(runs[i].metrics[name] for i in group) / len(group) for group in groups]
            for runs in (self.runs_a, self.runs_b)
        )
        return a, b


def pairs_frame(blocks: Sequence[Block], *, metric: str, baseline: str | None) -> pandas.DataFrame:
    """Compare the arms of every block in pairs, on every main score.

    Args:
        blocks: What is compared.
        metric: The metric to compare by; its family of tests is all pairs of the report.
        baseline: Pair every other arm with this one alone.
    """
    rows = [
        row
        for score in _scores(blocks, metric)
        for row in _family([p for b in blocks for p in _pairs(b, score, baseline)])
    ]
    order = {score: index for index, score in enumerate(_scores(blocks, metric))}
    rows.sort(key=lambda r: (r["task"], r["model"], order[r["metric"]], r["arm_a"], r["arm_b"]))
    return typed(rows, PAIRS)


def _scores(blocks: Sequence[Block], metric: str) -> list[str]:
    """Return the main scores, with those of unseen rows where some task has them."""
    scores = main_scores(metric)
    unseen = [UNSEEN + score for score in scores]
    runs = [run for block in blocks for cell in block.cells for run in cell.finished]
    return [*scores, *(s for s in unseen if any(f"test/{s}" in run.metrics for run in runs))]


def _pairs(block: Block, metric: str, baseline: str | None) -> Iterator[_Pair]:
    for first, second in itertools.combinations(block.begun, 2):
        if baseline is None or second.arm == baseline:
            yield _pair(first, second, metric)
        elif first.arm == baseline:
            yield _pair(second, first, metric)


def _pair(a: ComparedCell, b: ComparedCell, metric: str) -> _Pair:
    name = f"test/{metric}"
    of_a = {seeds: run for seeds, run in a.by_seeds().items() if name in run.metrics}
    of_b = {seeds: run for seeds, run in b.by_seeds().items() if name in run.metrics}
    common = sorted(of_a.keys() & of_b.keys())
    return _Pair(
        a,
        b,
        metric,
        runs_a=tuple(of_a[seeds] for seeds in common),
        runs_b=tuple(of_b[seeds] for seeds in common),
        only_a=tuple(sorted(of_a.keys() - of_b.keys())),
        only_b=tuple(sorted(of_b.keys() - of_a.keys())),
    )


def _family(pairs: Sequence[_Pair]) -> list[dict[str, Any]]:
    """Compare the pairs of one metric, corrected together; those without a seed stay out of it."""
    from tuner.report.stats import holm

    tested = [pair for pair in pairs if pair.runs_a]
    rows = [_row(pair, family=len(tested)) for pair in pairs]
    corrected = iter(holm([row["p"] for row in rows if "p" in row]))
    for row in rows:
        if "p" in row:
            row["p_holm"] = float(next(corrected))
            if row["p_holm"] <= LEVEL:
                row["further_seeds"] = 0
        row["verdict"] = _verdict(row)
    return rows


def _row(pair: _Pair, *, family: int) -> dict[str, Any]:
    from tuner.report.stats import compare_pairs

    about = {
        "task": pair.a.task,
        "model": pair.a.model,
        "metric": pair.metric,
        "arm_a": pair.a.arm,
        "arm_b": pair.b.arm,
        "n": 0,
        "unpaired_a": " ".join(map(seed_text, pair.only_a)),
        "unpaired_b": " ".join(map(seed_text, pair.only_b)),
        "run_ids_a": " ".join(run.run_id for run in pair.runs_a),
        "run_ids_b": " ".join(run.run_id for run in pair.runs_b),
    }
    if not pair.runs_a:
        return about
    found = compare_pairs(
        *pair.scores(),
        higher_is_better=higher_is_better(pair.metric),
        level=LEVEL,
        comparisons=family,
    )
    names: tuple[str, ...] = (
        "n",
        "mean_difference",
        "std_difference",
        "ci_low",
        "ci_high",
        "p",
        "least_p",
    )
    names += ("probability_a_better", "probability_low", "probability_high")
    names += ("cohens_d", "further_seeds")
    return about | {name: getattr(found, name) for name in names} | {"family_size": family}


def _verdict(row: dict[str, Any]) -> str:
    """Say what the corrected test shows; never a winner where n pairs cannot reach the level."""
    if "p" not in row or row["least_p"] > LEVEL:
        return "too few seeds"
    if row["p_holm"] > LEVEL:
        # The least p of all, times the family: what the first step of Holm's method compares.
        reachable = row["least_p"] * row["family_size"] <= LEVEL
        return "not separable" if reachable else "too few seeds"
    higher = row["mean_difference"] > 0
    return "a better" if higher == higher_is_better(row["metric"]) else "b better"
