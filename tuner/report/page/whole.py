"""Tabulate for a page what is about the whole comparison: ranks, references, trials, runs."""

from __future__ import annotations

from typing import Any

from tuner.report.columns import RUNS, TRIALS
from tuner.report.comparison import Comparison
from tuner.report.page.table import (
    Cell,
    Head,
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
    missing,
    number_text,
    p_text,
    percent_text,
    seconds_text,
    title,
)

_PLACE = tuple(Head(name, numeric=False) for name in ("task", "model", "arm"))


def across_tables(comparison: Comparison) -> list[TableView]:
    """Return ranks, published numbers and shares of variance; those that have a row."""
    tables = (_ranks(comparison), _references(comparison), _variance(comparison))
    return [table for table in tables if table.rows]


def run_tables(comparison: Comparison) -> list[TableView]:
    """Return the trials of the search and the confirm runs; those that have a row."""
    tables = (_trials(comparison), _runs(comparison))
    return [table for table in tables if table.rows]


def _ranks(comparison: Comparison) -> TableView:
    heads = (
        Head("model", numeric=False),
        Head("arm", numeric=False),
        Head("tasks", "that all of the model's arms have"),
        Head("mean rank", f"by mean test {title(comparison.metric)}; 1 is best"),
        Head("Friedman p", "whether any arm ranks otherwise than another"),
        Head("critical difference", "of mean ranks, Nemenyi's test at the 5% level"),
    )
    rows = tuple(
        TableRow(
            (
                word(row["model"]),
                word(row["arm"]),
                count(row["tasks"]),
                _number(row["mean_rank"]),
                Cell(p_text(row["friedman_p"]), raw(row["friedman_p"])),
                _number(row["critical_difference"]),
            )
        )
        for row in _records(comparison.ranks)
    )
    return TableView("Ranks across tasks", heads, rows)


def _references(comparison: Comparison) -> TableView:
    names = ("source", "task", "model", "method", "metric", "arm")
    heads = (
        *(Head(name, numeric=False) for name in names),
        Head("published", "mean ± standard deviation"),
        Head("n", "their seeds"),
        Head("ours", "mean ± standard deviation"),
        Head("n", "our seeds"),
        Head("difference", "ours − theirs"),  # noqa: RUF001  # a minus sign
        Head("standard error", "of the difference"),
    )
    rows = []
    for row in _records(comparison.references):
        metric = row["metric"]
        words = [word(title(metric) if name == "metric" else row[name]) for name in names]
        numbers = (
            score(row["published_mean"], metric, spread=row["published_std"]),
            count(row["published_n"]),
            score(row["mean"], metric, spread=row["std"]),
            count(row["n"]),
            difference(row["difference"], metric),
            score(row["standard_error"], metric),
        )
        rows.append(TableRow((*words, *numbers)))
    return TableView("Published numbers beside ours", heads, tuple(rows))


def _variance(comparison: Comparison) -> TableView:
    heads = (
        *_PLACE,
        Head("source", "the seed that varies; rest: what no seed explains", numeric=False),
        Head("standard deviation", "of test scores, due to this source"),
        Head("share", "of the variance"),
    )
    rows = []
    for row in _records(comparison.variance):
        variance = row["variance"]
        spread = None if missing(variance) else variance**0.5
        numbers = (
            score(spread, comparison.metric),
            Cell(percent_text(row["share"]), raw(row["share"])),
        )
        words = (word(row[name]) for name in ("task", "model", "arm", "source"))
        rows.append(TableRow((*words, *numbers)))
    return TableView("Where the spread between seeds comes from", heads, tuple(rows))


def _trials(comparison: Comparison) -> TableView:
    frame = comparison.trials
    fields = [name for name in frame.columns if name not in {column.name for column in TRIALS}]
    heads = (
        *_PLACE,
        Head("trial", "number, from 0"),
        Head("state", "finished, pruned, failed, diverged or killed", numeric=False),
        Head("chosen", "whether its configuration was confirmed", numeric=False),
        Head(f"validation {title(comparison.metric)}", "mean over the search seeds"),
        *(Head(name, "a field that the search varies") for name in fields),
        Head("seconds", "wall time of its runs, summed"),
        Head("peak memory", "of the training phase, largest over its runs"),
    )
    rows = []
    for row in _records(frame):
        cells = (
            *_words(row),
            count(row["trial"]),
            _state(row),
            word("yes" if not missing(row["chosen"]) and row["chosen"] else "no"),
            score(row["score"], row["metric"]),
            *(_field(row[name]) for name in fields),
            Cell(seconds_text(row["seconds"]), raw(row["seconds"])),
            memory(row["peak_memory_bytes"]),
        )
        ids = run_ids("configuration", row["parent_run_id"]) + run_ids("seeds", row["run_ids"])
        rows.append(TableRow(cells, ids))
    return TableView("Search trials", heads, tuple(rows))


def _runs(comparison: Comparison) -> TableView:
    frame = comparison.runs
    documented = {column.name for column in RUNS}
    metrics = [n for n in frame.columns if n not in documented and n.startswith("test/")]
    heads = (
        *_PLACE,
        Head("state", "finished, failed or diverged", numeric=False),
        *(Head(f"{name} seed") for name in ("init", "order", "data")),
        *(Head(title(name.removeprefix("test/")), "on the test split") for name in metrics),
        Head("precision", "number format of the forward pass", numeric=False),
        Head("device", numeric=False),
    )
    rows = []
    for row in _records(frame):
        cells = (
            *_words(row),
            _state(row),
            *(count(row[f"{name}_seed"]) for name in ("init", "order", "data")),
            *(score(row[name], name.removeprefix("test/")) for name in metrics),
            word(row["precision"]),
            word(row["device"]),
        )
        ids = run_ids("configuration", row["parent_run_id"]) + run_ids("run", row["run_id"])
        rows.append(TableRow(cells, ids))
    return TableView("Confirm runs", heads, tuple(rows))


def _words(row: Row) -> list[Cell]:
    return [word(row[name]) for name in ("task", "model", "arm")]


def _state(row: Row) -> Cell:
    reason = row["reason"]
    return Cell(str(row["state"]), detail="" if missing(reason) else str(reason))


def _number(value: Any) -> Cell:
    return Cell(number_text(value), raw(value))


def _field(value: Any) -> Cell:
    """Return a searched field, which may be a number or a word."""
    if missing(value):
        return word(None)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return word(value)
    return Cell(f"{number:.4g}", raw(number))


def _records(frame: Any) -> list[Row]:
    return list(frame.to_dict("records"))
