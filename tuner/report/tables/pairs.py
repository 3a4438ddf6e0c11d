"""Judge arms in pairs, seed by seed: one interval, and the verdict that it allows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tuner.report.comparison import LEVEL, Comparison, Row
from tuner.report.confusion import row_error
from tuner.report.contracts import Basis, Column, ReportTable, typed
from tuner.report.evidence import Evidence
from tuner.report.measures import collapsed
from tuner.report.planned import SeedKey, seed_text, seeds_of
from tuner.report.selection import Block, ComparedCell
from tuner.report.tables._columns import MODEL, TASK
from tuner.report.view import (
    PAGE,
    TEXT,
    WIDE,
    Heading,
    TableRow,
    TableView,
    count,
    difference,
    number,
    run_ids,
    score,
    word,
)
from tuner.report.wording import (
    UNSEEN,
    higher_is_better,
    is_loss,
    main_scores,
    missing,
    p_text,
    seeds_text,
    share_text,
    title,
    verdict_text,
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
    Column(
        "asked",
        "boolean",
        "whether the study asks about it: all pairs, or those with the baseline",
    ),
    Column("n", "Int64", "independent seeds that both have, without those of collapsed runs"),
    Column("all_collapsed", "boolean", "on no seed both trained: n has the collapsed runs too"),
    Column("mean_difference", "float64", "mean of a - b over these seeds"),
    Column("std_difference", "float64", "standard deviation of the differences (n - 1)"),
    Column("row_error", "float64", "standard error of the mean difference over test rows"),
    Column("ci_low", "float64", "lower end of the interval over seeds and test rows"),
    Column("ci_high", "float64", "upper end of it"),
    Column("level", "float64", "its two-sided level: 5%, divided by the pairs judged together"),
    Column("family_size", "Int64", "pairs judged together: all of this metric that are asked"),
    Column("margin", "float64", "differences up to it do not matter; 0: no margin"),
    Column("verdict", "string", "of a against b, read off the interval"),
    Column("ahead", "Int64", "seeds on which a is better"),
    Column("behind", "Int64", "seeds on which b is better"),
    Column("p", "float64", "exact two-sided sign-flip p, not corrected; from six seeds on"),
    Column("probability_a_better", "float64", "share of seeds on which a is better, ties half"),
    Column("probability_low", "float64", "lower end of its exact 95% interval"),
    Column("probability_high", "float64", "upper end of it"),
    Column("cohens_d", "float64", "mean difference in standard deviations of the differences"),
    Column("nearest", "string", "where open: the verdict that needs the fewest seeds"),
    Column("seeds_low", "Int64", "seeds in all that it needs with 80% power: from"),
    Column("seeds_high", "Int64", "to; missing beside seeds_low: more than 1,000"),
    Column("collapsed_a", "Int64", "runs of a that collapsed"),
    Column("collapsed_b", "Int64", "runs of b that collapsed"),
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
        """Judge the arms of every block in pairs, on every main score.

        What the study asks about shares a level: all pairs, or with a baseline every other arm
        against it. The other pairs share one with all.
        """
        scores = _scores(basis.blocks, basis.metric)
        rows = [
            row
            for score in scores
            for row in _judged([p for b in basis.blocks for p in _pairs(b, score, basis)], basis)
        ]
        order = {score: index for index, score in enumerate(scores)}
        rows.sort(
            key=lambda r: (
                *(r["task"], r["model"], order[r["metric"]]),
                *(not r["asked"], r["arm_a"], r["arm_b"]),
            )
        )
        return typed(rows, _COLUMNS)

    def views(self, comparison: Comparison) -> Iterator[TableView]:
        """Show what is asked of each task and model by the metric; the rest is folded."""
        metric = comparison.metric
        for task, model in comparison.places():
            rows = comparison.rows("pairs", task, model)
            others = sorted({row["metric"] for row in rows} - {metric})
            for name, asked in itertools.product((metric, *others), (True, False)):
                shown = [row for row in rows if row["metric"] == name and row["asked"] == asked]
                if not shown:
                    continue
                first = name == metric and asked
                more = "" if asked else ", those that were not asked about"
                yield TableView(
                    f"Pairs of arms by {title(name)}, seed by seed{more}",
                    _view_columns(shown, name),
                    tuple(_view_row(row, name) for row in shown),
                    section="pairs" if first else "folded",
                    task=task,
                    model=model,
                    shown_in=WIDE if first else PAGE,
                )


@dataclass(frozen=True)
class _Pair:
    """Two arms on one task and model, with their runs seed by seed."""

    a: ComparedCell
    b: ComparedCell
    metric: str
    asked: bool
    runs: tuple[tuple[RunRecord, RunRecord], ...]
    """Of the seeds on which both trained; of all common seeds where there is none."""
    all_collapsed: bool
    """There is none, and so the runs that collapsed are compared too."""
    collapsed: tuple[int, int]
    """Runs of each arm that did not."""
    only_a: tuple[SeedKey, ...]
    only_b: tuple[SeedKey, ...]

    def scores(self) -> tuple[list[float], list[float]]:
        """Return the scores of a and b, pair by pair; runs that share a seed are averaged."""
        from tuner.report.stats import independent_groups

        name = f"test/{self.metric}"
        groups = independent_groups([seeds_of(a) for a, _ in self.runs])
        a, b = (
            [
                math.fsum(self.runs[i][side].metrics[name] for i in group) / len(group)
                for group in groups
            ]
            for side in (0, 1)
        )
        return a, b

    def ids(self, side: int) -> str:
        """Return the runs of one arm, for the frame."""
        return " ".join(both[side].run_id for both in self.runs)


def _scores(blocks: Sequence[Block], metric: str) -> list[str]:
    """Return the main scores, with those of unseen rows where some task has them."""
    scores = main_scores(metric)
    unseen = [UNSEEN + score for score in scores]
    runs = [run for block in blocks for cell in block.cells for run in cell.finished]
    return [*scores, *(s for s in unseen if any(f"test/{s}" in run.metrics for run in runs))]


def _pairs(block: Block, metric: str, basis: Basis) -> Iterator[_Pair]:
    baseline = basis.baseline
    for first, second in itertools.combinations(block.begun, 2):
        a, b = (second, first) if first.arm == baseline else (first, second)
        asked = baseline is None or b.arm == baseline
        yield _pair(a, b, metric, asked=asked, evidence=basis.evidence)


def _pair(
    a: ComparedCell, b: ComparedCell, metric: str, *, asked: bool, evidence: Evidence
) -> _Pair:
    name = f"test/{metric}"
    of_a = {seeds: run for seeds, run in a.by_seeds().items() if name in run.metrics}
    of_b = {seeds: run for seeds, run in b.by_seeds().items() if name in run.metrics}
    fallen_a, fallen_b = (
        {s for s, run in found.items() if collapsed(run, evidence.confusions.get(run.run_id))}
        for found in (of_a, of_b)
    )
    common = sorted(of_a.keys() & of_b.keys())
    trained = [seeds for seeds in common if seeds not in fallen_a | fallen_b]
    return _Pair(
        a,
        b,
        metric,
        asked,
        runs=tuple((of_a[seeds], of_b[seeds]) for seeds in trained or common),
        all_collapsed=bool(common) and not trained,
        collapsed=(len(fallen_a), len(fallen_b)),
        only_a=tuple(sorted(of_a.keys() - of_b.keys())),
        only_b=tuple(sorted(of_b.keys() - of_a.keys())),
    )


def _judged(pairs: Sequence[_Pair], basis: Basis) -> Iterator[dict[str, Any]]:
    """Yield the rows of one metric; those without a seed stay out of the families."""
    with_seeds = [pair for pair in pairs if pair.runs]
    asked = sum(pair.asked for pair in with_seeds)
    for pair in pairs:
        yield _row(pair, basis, family=asked if pair.asked else len(with_seeds))


def _row(pair: _Pair, basis: Basis, *, family: int) -> dict[str, Any]:
    """Return the row of a pair; without a common seed it has no numbers."""
    margin = 0.0 if is_loss(pair.metric) else basis.margin
    about = {
        "task": pair.a.task,
        "model": pair.a.model,
        "metric": pair.metric,
        "arm_a": pair.a.arm,
        "arm_b": pair.b.arm,
        "asked": pair.asked,
        "all_collapsed": pair.all_collapsed,
        "n": 0,
        "margin": margin,
        "verdict": "open",
        "collapsed_a": pair.collapsed[0],
        "collapsed_b": pair.collapsed[1],
        "unpaired_a": " ".join(map(seed_text, pair.only_a)),
        "unpaired_b": " ".join(map(seed_text, pair.only_b)),
        "run_ids_a": pair.ids(0),
        "run_ids_b": pair.ids(1),
    }
    if not pair.runs:
        return about
    return about | {"family_size": family} | _numbers(pair, basis, margin, LEVEL / family)


def _numbers(pair: _Pair, basis: Basis, margin: float, level: float) -> dict[str, Any]:
    """Return a pair's differences and the verdict on them."""
    from tuner.report.stats import compare_pairs, judge, paired_differences

    a, b = pair.scores()
    higher = higher_is_better(pair.metric)
    found = compare_pairs(a, b, higher_is_better=higher)
    tables = [[basis.evidence.confusions.get(run.run_id) for run in both] for both in pair.runs]
    verdict = judge(
        paired_differences(a, b) if higher else paired_differences(b, a),
        margin=margin,
        row_error=row_error(tables, pair.metric),
        level=level,
        collapsed=any(pair.collapsed),
    )
    low, high = (verdict.low, verdict.high) if higher else (-verdict.high, -verdict.low)
    names: tuple[str, ...] = ("n", "mean_difference", "std_difference", "cohens_d")
    names += ("probability_a_better", "probability_low", "probability_high")
    numbers = {name: getattr(found, name) for name in names}
    numbers |= {name: getattr(verdict, name) for name in ("row_error", "level", "ahead", "behind")}
    numbers |= {"p": verdict.p, "verdict": verdict.kind, "ci_low": low, "ci_high": high}
    if (needed := verdict.needed) is not None:
        numbers |= {"nearest": needed.verdict, "seeds_low": needed.low, "seeds_high": needed.high}
    return numbers


def _view_columns(rows: Sequence[Row], metric: str) -> tuple[Heading, ...]:
    levels = sorted({float(row["level"]) for row in rows if not missing(row["level"])})
    sure = f"{100 * (1 - levels[0]):.4g}% interval" if levels else "interval"
    return (
        Heading("pair", "first arm − second arm", numeric=False),  # noqa: RUF001  # a minus sign
        Heading("n", "seeds on which both arms trained, independent of each other"),
        Heading(
            "difference",
            f"mean of first − second, with its {sure} over seeds and test rows",  # noqa: RUF001
            spelled=f"difference in {title(metric)}",
        ),
        Heading(sure, shown_in=TEXT),
        Heading("verdict", "read off the interval", numeric=False),
        Heading("behind", "seeds on which the first arm is worse, of n"),
        Heading("row error", "standard error of the difference over test rows"),
        Heading("p", "exact two-sided sign-flip p, not corrected; from six seeds on"),
        Heading(
            "P(first better)",
            "share of seeds, ties half, with its exact 95% interval",
            shown_in=PAGE,
        ),
        Heading("seeds needed", "in all, with 80% power, for the nearest verdict; a middle half"),
    )


def _view_row(row: Row, metric: str) -> TableRow:
    first, second = row["arm_a"], row["arm_b"]
    gap = difference(row["mean_difference"], metric, (row["ci_low"], row["ci_high"]))
    low, high = row["probability_low"], row["probability_high"]
    shares = "" if missing(low) else f"[{share_text(low)}, {share_text(high)}]"
    behind = "-" if missing(row["behind"]) else f"{row['behind']}/{row['n']}"
    cells = (
        word(f"{first} − {second}"),  # noqa: RUF001  # a minus sign
        count(row["n"]),
        gap,
        word(gap.detail),
        word(verdict_text(row)),
        number(behind, row["behind"]),
        score(row["row_error"], metric),
        number(p_text(row["p"]), row["p"]),
        number(share_text(row["probability_a_better"]), row["probability_a_better"], shares),
        number(seeds_text(row), row["seeds_low"]),
    )
    runs = run_ids(str(first), row["run_ids_a"]) + run_ids(str(second), row["run_ids_b"])
    return TableRow(cells, runs)
