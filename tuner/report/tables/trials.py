"""Tabulate the trials of the search, a row each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tuner.report.comparison import Comparison, Row
from tuner.report.contracts import Basis, Column, ReportTable, typed
from tuner.report.measures import seconds_spent, train_peak, trial_score
from tuner.report.searches import Trial
from tuner.report.selection import ComparedCell
from tuner.report.tables._columns import ARM, MODEL, PLACE, TASK, state_cell
from tuner.report.view import (
    CONFIGURATION,
    PAGE,
    Field,
    Heading,
    RunIds,
    TableCell,
    TableView,
    cell_of,
    count,
    headings_of,
    memory,
    number,
    rows_of,
    run_ids,
    score,
    seconds,
    word,
    yes_or_no,
)
from tuner.report.wording import missing, title

if TYPE_CHECKING:
    import pandas

_SEARCHABLE = ("method.", "train.")
_COLUMNS = (
    Column("study", "string", "the study"),
    TASK,
    MODEL,
    ARM,
    Column("trial", "Int64", "number of the trial, from 0"),
    Column("state", "string", "finished, pruned, failed, diverged or killed"),
    Column("reason", "string", "why it did not finish"),
    Column("chosen", "boolean", "whether its configuration was confirmed"),
    Column("metric", "string", "validation metric of the study"),
    Column("score", "float64", "its value, mean over the search seeds; if pruned, the last seen"),
    Column("seconds", "float64", "wall seconds of its runs, summed"),
    Column("seeds", "Int64", "runs that it took"),
    Column("peak_memory_bytes", "Int64", "peak of the training phase, largest over its runs"),
    Column("parent_run_id", "string", "MLflow run of the configuration"),
    Column("run_ids", "string", "MLflow runs of the seeds, a space between"),
)


class TrialsTable(ReportTable):
    """A row for each trial of the searches, with the fields that some search varies."""

    ORDER: ClassVar = 40
    COLUMNS: ClassVar = _COLUMNS
    FURTHER: ClassVar = "then every field that some search varies, such as `train.learning_rate`"

    kind: Literal["trials"] = "trials"
    """File name of the table."""

    def frame(self, basis: Basis) -> pandas.DataFrame:
        """Tabulate the search of every cell."""
        cells = [cell for block in basis.blocks for cell in block.cells]
        return typed((row for cell in cells for row in _trial_rows(cell, basis.metric)), _COLUMNS)

    def views(self, comparison: Comparison) -> Iterator[TableView]:
        """List them on the page."""
        documented = {column.name for column in _COLUMNS}
        varied = [n for n in comparison.frames["trials"].columns if n not in documented]
        state = Heading("state", "finished, pruned, failed, diverged or killed", numeric=False)
        chosen = Heading("chosen", "whether its configuration was confirmed", numeric=False)
        fields: tuple[Field, ...] = (
            *PLACE,
            (Heading("trial", "number, from 0"), cell_of("trial", count)),
            (state, state_cell),
            (chosen, cell_of("chosen", yes_or_no)),
            (
                Heading(f"validation {title(comparison.metric)}", "mean over the search seeds"),
                lambda row: score(row["score"], row["metric"]),
            ),
            *(
                (Heading(name, "a field that the search varies"), cell_of(name, _value_cell))
                for name in varied
            ),
            (Heading("seconds", "wall time of its runs, summed"), cell_of("seconds", seconds)),
            (
                Heading("peak memory", "of the training phase, largest over its runs"),
                cell_of("peak_memory_bytes", memory),
            ),
        )
        rows = rows_of(fields, comparison.rows("trials"), _ids)
        yield TableView("Search trials", headings_of(fields), rows, "lists", shown_in=PAGE)


def _value_cell(value: Any) -> TableCell:
    """Return the value of a searched field, which may be a number or a word."""
    if missing(value):
        return word(None)
    try:
        found = float(value)
    except (TypeError, ValueError):
        return word(value)
    return number(f"{found:.4g}", found)


def _ids(row: Row) -> tuple[RunIds, ...]:
    return run_ids(CONFIGURATION, row["parent_run_id"]) + run_ids("seeds", row["run_ids"])


def _trial_rows(cell: ComparedCell, metric: str) -> list[dict[str, Any]]:
    varied = _varied(cell.trials)
    return [
        {
            "study": cell.study,
            "task": cell.task,
            "model": cell.model,
            "arm": cell.arm,
            "trial": trial.number,
            "state": trial.state,
            "reason": trial.reason,
            "chosen": trial.number == cell.search.chosen,
            "metric": metric,
            "score": trial_score(trial, metric),
            "seconds": sum(sorted(map(seconds_spent, trial.runs))),
            "seeds": len(trial.runs),
            "peak_memory_bytes": max(filter(None, map(train_peak, trial.runs)), default=None),
            "parent_run_id": trial.runs[0].parent_id,
            "run_ids": " ".join(run.run_id for run in trial.runs),
        }
        | {name: _value(trial.runs[0].params[name]) for name in varied}
        for trial in cell.trials
    ]


def _varied(trials: Sequence[Trial]) -> list[str]:
    """Return the params that a cell's search varied: those in which its trials differ."""
    params = [trial.runs[0].params for trial in trials]
    names = {name for row in params for name in row if name.startswith(_SEARCHABLE)}
    return sorted(
        name
        for name in names
        if len({row.get(name) for row in params}) > 1 and all(name in row for row in params)
    )


def _value(text: str) -> float | str:
    """Return a number where the text is one."""
    try:
        return float(text)
    except ValueError:
        return text
