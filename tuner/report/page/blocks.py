"""Choose what a page shows of one task and model: its arms, its pairs, its trade-off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tuner.report.comparison import Comparison
from tuner.report.layout import (
    NOT_RUN,
    block_views,
    has_run,
    runs_text,
    shown_scores,
    untraded,
)
from tuner.report.page.pairs import baseline_rows, pairs_table
from tuner.report.page.table import (
    Cell,
    Head,
    Mark,
    Row,
    TableRow,
    TableView,
    count,
    difference,
    memory,
    raw,
    run_ids,
    score,
    word,
)
from tuner.report.wording import (
    NONE,
    missing,
    parameters_text,
    percent_text,
    seconds_text,
    title,
)

if TYPE_CHECKING:
    import pandas

_SAVED = {
    "saved_peak": ("saved, mean peak", "share of the mean peak of the training phase"),
    "saved_largest_peak": ("saved, largest peak", "share of the largest peak over the runs"),
    "saved_with_eval": ("saved, with evaluation", "share of the mean peak, evaluation included"),
}

_TROUBLE = {
    "failed_runs": Head("failed", "confirm runs that failed or diverged and never finished"),
    "collapsed_runs": Head("collapsed", "finished runs no more accurate than the majority class"),
}
"""Columns that are left out where all is well, for a table that fits the page."""


@dataclass(frozen=True)
class PageBlock:
    """What is shown of one task and model. A table without a row is left out."""

    task: str
    model: str
    arms: TableView
    has_best: bool
    notes: tuple[str, ...]
    pairs: TableView
    tradeoff: TableView
    more: tuple[TableView, ...]
    """All test metrics, and the pairs by the other scores: folded."""

    @property
    def title(self) -> str:
        """Task and model."""
        return f"{self.task} · {self.model}"


@dataclass(frozen=True)
class _Source:
    """A block's rows of each frame."""

    comparison: Comparison
    task: str
    model: str

    def rows(self, frame: pandas.DataFrame) -> list[Row]:
        here = (frame["task"] == self.task) & (frame["model"] == self.model)
        return list(frame[here].to_dict("records"))


def page_blocks(comparison: Comparison) -> Iterator[PageBlock]:
    """Yield what is shown of each task and model."""
    metric = comparison.metric
    for view in block_views(comparison):
        source = _Source(comparison, view.task, view.model)
        marks: dict[str, Mark] = {
            row.arm: "best" if row.best else "near" if row.near_best else "" for row in view.rows
        }
        pairs = source.rows(comparison.pairs)
        others = sorted({row["metric"] for row in pairs} - {metric})
        folded = (_all_metrics(source), *(pairs_table(pairs, other) for other in others))
        yield PageBlock(
            task=view.task,
            model=view.model,
            arms=_arms(source, marks),
            has_best="best" in marks.values(),
            notes=view.notes,
            pairs=pairs_table(pairs, metric),
            tradeoff=_tradeoff(source),
            more=tuple(table for table in folded if table.rows),
        )


def _arms(source: _Source, marks: dict[str, Mark]) -> TableView:
    comparison, metric = source.comparison, source.comparison.metric
    arms: dict[str, dict[str, Row]] = {}
    for row in source.rows(comparison.cells):
        arms.setdefault(row["arm"], {})[row["metric"]] = row
    present = {name for found in arms.values() for name in found}
    scores = [name for name in shown_scores(comparison) if name in present]
    against = baseline_rows(source.rows(comparison.pairs), metric, comparison.baseline)
    firsts = {arm: found.get(metric) or next(iter(found.values())) for arm, found in arms.items()}
    with_noise = any(not missing(row["test_noise_std"]) for row in firsts.values())
    trouble = [name for name in _TROUBLE if any(row[name] for row in firsts.values())]
    rows = []
    for arm, found in arms.items():
        first = firsts[arm]
        cells = [word(arm), replace(count(first["n"]), text=runs_text(first))]
        for name in scores:
            cell = _mean(found.get(name), name) if has_run(first) else Cell(NOT_RUN)
            cells.append(replace(cell, mark=marks.get(arm, "")) if name == metric else cell)
        cells += [score(first["test_noise_std"], metric)] if with_noise else []
        if comparison.baseline is not None:
            cells.append(_to_baseline(against.get(arm), metric))
        runs = run_ids("configuration", first["parent_run_id"]) + run_ids(
            "seeds", first["run_ids"]
        )
        cells += (*_costs(first), *(count(first[name]) for name in trouble))
        rows.append(TableRow(tuple(cells), runs))
    heads = (
        *_arm_heads(comparison, scores, with_noise=with_noise),
        *(_TROUBLE[name] for name in trouble),
    )
    return TableView(
        "Arms: test scores over the confirm seeds, and what they cost", heads, tuple(rows)
    )


def _arm_heads(comparison: Comparison, scores: list[str], *, with_noise: bool) -> tuple[Head, ...]:
    heads = [
        Head("arm", "the way of training", numeric=False),
        Head("n", "finished confirm runs, one a seed"),
    ]
    meaning = "mean ± standard deviation over the seeds; below, the 95% interval of the mean"
    heads += [Head(title(name), meaning) for name in scores]
    if with_noise:
        heads.append(Head("test noise", "standard error of one run, its test rows a sample"))
    if comparison.baseline is not None:
        about = f"mean difference to {comparison.baseline} in {title(comparison.metric)}"
        heads.append(Head(f"− {comparison.baseline}", f"{about}, with its 95% interval"))  # noqa: RUF001  # a minus sign
    return (
        *heads,
        Head("trials", "configurations that the search tried; 0: not searched"),
        Head("trained parameters", "below, those outside the head + those of the head"),
        Head("peak memory", "of the training phase, largest over the runs"),
        Head("seconds", "wall time of a run, all phases, mean"),
    )


def _mean(row: Row | None, metric: str) -> Cell:
    if row is None:
        return Cell(NONE)
    return score(row["mean"], metric, spread=row["std"], ends=(row["ci_low"], row["ci_high"]))


def _to_baseline(row: Row | None, metric: str) -> Cell:
    if row is None:
        return Cell(NONE)
    return difference(row["mean_difference"], metric, (row["ci_low"], row["ci_high"]))


def _costs(row: Row) -> tuple[Cell, ...]:
    adapter, head = (parameters_text(row[f"{part}_parameters"]) for part in ("adapter", "head"))
    trained = row["trained_parameters"]
    parts = "" if NONE in (adapter, head) else f"{adapter} + {head}"
    return (
        count(row["trials"]),
        Cell(parameters_text(trained), raw(trained), parts),
        memory(row["peak_memory_bytes"]),
        Cell(seconds_text(row["seconds"]), raw(row["seconds"])),
    )


def _tradeoff(source: _Source) -> TableView:
    metric = source.comparison.metric
    against = source.comparison.baseline or "the arm that takes most"
    heads = (
        Head("arm", numeric=False),
        Head(title(metric), "mean, with its 95% interval"),
        Head("mean peak memory", "of the training phase, mean over the runs"),
        Head("seconds", "wall time of a run, all phases, mean"),
        Head(
            "Pareto set", "no other arm is as good in all three and better in one", numeric=False
        ),
        Head(
            "in resampled seeds", "share of resampled seeds in which the arm is in the Pareto set"
        ),
        Head("seeds", "that all arms have, which the Pareto set is over"),
        *(Head(name, f"{meaning} of {against}") for name, meaning in _SAVED.values()),
    )
    rows = tuple(
        TableRow(
            (
                word(row["arm"]),
                score(row["score"], metric, ends=(row["score_low"], row["score_high"])),
                memory(row["peak_memory_bytes"]),
                Cell(seconds_text(row["seconds"]), raw(row["seconds"])),
                word("yes" if not missing(row["pareto"]) and row["pareto"] else "no"),
                Cell(percent_text(row["pareto_probability"]), raw(row["pareto_probability"])),
                count(row["seeds"]),
                *(Cell(percent_text(row[name]), raw(row[name])) for name in _SAVED),
            )
        )
        for row in source.rows(source.comparison.tradeoff)
    )
    caption = f"Score, memory and time; memory saved against {against}"
    return TableView(
        caption, heads, rows, below=untraded(source.comparison, source.task, source.model)
    )


def _all_metrics(source: _Source) -> TableView:
    titles = ("mean", "std", "median", "min", "max", "test noise")
    columns = ("mean", "std", "median", "min", "max", "test_noise_std")
    heads = (
        Head("arm", numeric=False),
        Head("metric", numeric=False),
        Head("n", "finished confirm runs that have the metric"),
        *(Head(name) for name in titles),
    )
    rows = []
    for row in source.rows(source.comparison.cells):
        name = row["metric"]
        ends = (row["ci_low"], row["ci_high"])
        cells = [score(row["mean"], name, ends=ends), *(score(row[c], name) for c in columns[1:])]
        found = (word(row["arm"]), word(title(name)), count(row["n"]), *cells)
        rows.append(TableRow(found, run_ids("seeds", row["run_ids"])))
    return TableView("All test metrics", heads, tuple(rows))
