"""Compare arms in pairs, seed by seed, with Holm's correction."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tuner.report.comparison import LEVEL, Comparison, Row
from tuner.report.contracts import Basis, Column, ReportTable, typed
from tuner.report.planned import SeedKey, seed_text, seeds_of
from tuner.report.selection import Block, ComparedCell
from tuner.report.tables._columns import MODEL, TASK
from tuner.report.view import (
    PAGE,
    TEXT,
    WIDE,
    Heading,
    TableCell,
    TableRow,
    TableView,
    count,
    difference,
    number,
    raw,
    run_ids,
    word,
)
from tuner.report.wording import (
    MANY,
    UNSEEN,
    further_text,
    higher_is_better,
    main_scores,
    missing,
    number_text,
    p_text,
    share_text,
    title,
)
from tuner.store import RunRecord

if TYPE_CHECKING:
    import pandas

_COLUMNS = (
    TASK,
    MODEL,
    Column("metric", "string", "metric on the test split"),
    Column("arm_a", "string", "first arm"),
    Column("arm_b", "string", "second arm, or the baseline"),
    Column("n", "Int64", "independent seeds that both have; runs with a common seed count once"),
    Column("mean_difference", "float64", "mean of a - b over these seeds"),
    Column("std_difference", "float64", "standard deviation of the differences (n - 1)"),
    Column("ci_low", "float64", "lower end of the 95% interval of the mean difference"),
    Column("ci_high", "float64", "upper end of it"),
    Column("p", "float64", "exact two-sided sign-flip p"),
    Column("p_holm", "float64", "p after Holm's correction over the family"),
    Column("family_size", "Int64", "pairs that were corrected together: all of this metric"),
    Column("least_p", "float64", "smallest p that n pairs can give, before correction: 2/2^n"),
    Column("verdict", "string", "a better, b better, not separable, or too few seeds"),
    Column("probability_a_better", "float64", "share of seeds on which a is better, ties half"),
    Column("probability_low", "float64", "lower end of its exact 95% interval"),
    Column("probability_high", "float64", "upper end of it"),
    Column("cohens_d", "float64", "mean difference in standard deviations of the differences"),
    Column("further_seeds", "Int64", "seeds to add for 80% power, if the differences go on so"),
    Column("unpaired_a", "string", "seeds (init/order/data) that only a has, a space between"),
    Column("unpaired_b", "string", "seeds that only b has"),
    Column("run_ids_a", "string", "MLflow runs of a, pair by pair"),
    Column("run_ids_b", "string", "MLflow runs of b, pair by pair"),
)


class PairsTable(ReportTable):
    """A row for each pair of arms on one task and model, and main score."""

    ORDER: ClassVar = 20
    COLUMNS: ClassVar = _COLUMNS

    kind: Literal["pairs"] = "pairs"
    """File name of the table."""

    def frame(self, basis: Basis) -> pandas.DataFrame:
        """Compare the arms of every block in pairs, on every main score.

        The family of a metric's tests is all its pairs of the report. With a baseline, every
        other arm is paired with it alone.
        """
        scores = _scores(basis.blocks, basis.metric)
        baseline = basis.question.baseline
        rows = [
            row
            for score in scores
            for row in _family([p for b in basis.blocks for p in _pairs(b, score, baseline)])
        ]
        order = {score: index for index, score in enumerate(scores)}
        rows.sort(
            key=lambda r: (r["task"], r["model"], order[r["metric"]], r["arm_a"], r["arm_b"])
        )
        return typed(rows, _COLUMNS)

    def views(self, comparison: Comparison) -> Iterator[TableView]:
        """Show the pairs of each task and model: by the metric, and folded by other scores."""
        metric = comparison.metric
        for task, model in comparison.places():
            rows = comparison.rows("pairs", task, model)
            others = sorted({row["metric"] for row in rows} - {metric})
            for name in (metric, *others):
                of_metric = [row for row in rows if row["metric"] == name]
                yield TableView(
                    f"Pairs of arms by {title(name)}, seed by seed",
                    _view_columns(of_metric, name),
                    tuple(_view_row(row, name) for row in of_metric),
                    section="pairs" if name == metric else "folded",
                    task=task,
                    model=model,
                    shown_in=WIDE if name == metric else PAGE,
                )


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
    """Return the verdict of the corrected test; no winner where n pairs cannot reach the level."""
    if "p" not in row or row["least_p"] > LEVEL:
        return "too few seeds"
    if row["p_holm"] > LEVEL:
        # The first step of Holm's method compares the smallest p, times the size of the family.
        reachable = row["least_p"] * row["family_size"] <= LEVEL
        return "not separable" if reachable else "too few seeds"
    higher = row["mean_difference"] > 0
    return "a better" if higher == higher_is_better(row["metric"]) else "b better"


def _view_columns(rows: Sequence[Row], metric: str) -> tuple[Heading, ...]:
    families = sorted({int(row["family_size"]) for row in rows if not missing(row["family_size"])})
    pairs = " or ".join(f"{size} pair{'s' * (size != 1)}" for size in families)
    return (
        Heading("pair", "first arm − second arm", numeric=False),  # noqa: RUF001  # a minus sign
        Heading("n", "seeds that both arms have finished, independent of each other"),
        Heading(
            "difference",
            "mean of first − second, with its 95% interval",  # noqa: RUF001
            spelled=f"difference in {title(metric)}",
        ),
        Heading("95% interval", shown_in=TEXT),
        Heading("p", "exact two-sided sign-flip p; below, the least that n seeds can give"),
        Heading("p (Holm)", f"corrected for the {pairs or 'pairs'} of the report"),
        Heading("P(first better)", "share of seeds, ties half, with its exact 95% interval"),
        Heading("95% interval", shown_in=TEXT),
        Heading("d", "mean difference in standard deviations of the differences"),
        Heading("further seeds", "to add for 80% power, if the differences go on so"),
        Heading("verdict", "at the 5% level, after Holm's correction", numeric=False),
    )


def _view_row(row: Row, metric: str) -> TableRow:
    first, second = row["arm_a"], row["arm_b"]
    gap = difference(row["mean_difference"], metric, (row["ci_low"], row["ci_high"]))
    low, high = row["probability_low"], row["probability_high"]
    shares = "" if missing(low) else f"[{share_text(low)}, {share_text(high)}]"
    least = "" if missing(row["least_p"]) else f"≥ {p_text(row['least_p'])}"
    further = further_text(row)
    cells = (
        word(f"{first} − {second}"),  # noqa: RUF001  # a minus sign
        count(row["n"]),
        gap,
        word(gap.detail),
        number(p_text(row["p"]), row["p"], least),
        number(p_text(row["p_holm"]), row["p_holm"]),
        number(share_text(row["probability_a_better"]), row["probability_a_better"], shares),
        word(shares),
        number(number_text(row["cohens_d"]), row["cohens_d"]),
        TableCell(further, "Infinity" if further == MANY else raw(row["further_seeds"])),
        word(_named_verdict(row)),
    )
    runs = run_ids(str(first), row["run_ids_a"]) + run_ids(str(second), row["run_ids_b"])
    return TableRow(cells, runs)


def _named_verdict(row: Row) -> str:
    """Return the verdict with the arms by their names."""
    winners = {"a better": row["arm_a"], "b better": row["arm_b"]}
    verdict = str(row["verdict"])
    return f"{winners[verdict]} better" if verdict in winners else verdict
