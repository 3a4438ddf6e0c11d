"""Tabulate the confirm runs, a row each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tuner.report.comparison import Comparison, Row
from tuner.report.contracts import Basis, Column, ReportTable, typed
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
    rows_of,
    run_ids,
    score,
    word,
)
from tuner.report.wording import title
from tuner.store import RunRecord

if TYPE_CHECKING:
    import pandas

_COLUMNS = (
    Column("study", "string", "the study"),
    TASK,
    MODEL,
    ARM,
    Column("state", "string", "finished, failed or diverged"),
    Column("reason", "string", "why it did not finish"),
    Column("init_seed", "Int64", "seed of new weights and dropout"),
    Column("order_seed", "Int64", "seed of the order of training rows"),
    Column("data_seed", "Int64", "seed of the draw of rows and of the validation split"),
    Column("precision", "string", "number format of the forward pass"),
    Column("device", "string", "GPU or CPU by its name"),
    Column("accuracy_low", "float64", "lower end of this run's 95% Wilson interval of accuracy"),
    Column("accuracy_high", "float64", "upper end of it: the test rows as a sample"),
    Column("digest", "string", "identity of the RunSpec"),
    Column("parent_run_id", "string", "MLflow run of the configuration"),
    Column("run_id", "string", "MLflow run"),
)


class RunsTable(ReportTable):
    """A row for each confirm run: its seeds, its state, its metrics but the training curves."""

    ORDER: ClassVar = 30
    COLUMNS: ClassVar = _COLUMNS
    FURTHER: ClassVar = "then every metric of the runs but the training curves, by name"

    kind: Literal["runs"] = "runs"
    """File name of the table."""

    def frame(self, basis: Basis) -> pandas.DataFrame:
        """Tabulate the confirm runs that are compared."""
        cells = [cell for block in basis.blocks for cell in block.cells]
        return typed((_run_row(cell, run) for cell in cells for run in cell.runs), _COLUMNS)

    def views(self, comparison: Comparison) -> Iterator[TableView]:
        """List them on the page, with the scores on the test split."""
        documented = {column.name for column in _COLUMNS}
        names = [n for n in comparison.frames["runs"].columns if n not in documented]
        metrics = [name.removeprefix("test/") for name in names if name.startswith("test/")]
        state = Heading("state", "finished, failed or diverged", numeric=False)
        fields: tuple[Field, ...] = (
            *PLACE,
            (state, state_cell),
            *(
                (Heading(f"{name} seed"), cell_of(f"{name}_seed", count))
                for name in ("init", "order", "data")
            ),
            *((Heading(title(metric), "on the test split"), _score(metric)) for metric in metrics),
            (
                Heading("precision", "number format of the forward pass", numeric=False),
                cell_of("precision", word),
            ),
            (Heading("device", numeric=False), cell_of("device", word)),
        )
        rows = rows_of(fields, comparison.rows("runs"), _ids)
        yield TableView("Confirm runs", headings_of(fields), rows, "lists", order=1, shown_in=PAGE)


def _score(metric: str) -> Callable[[Row], TableCell]:
    return cell_of(f"test/{metric}", lambda value: score(value, metric))


def _ids(row: Row) -> tuple[RunIds, ...]:
    return run_ids(CONFIGURATION, row["parent_run_id"]) + run_ids("run", row["run_id"])


def _run_row(cell: ComparedCell, run: RunRecord) -> dict[str, Any]:
    seeds = run.seeds
    row: dict[str, Any] = {
        "study": cell.study,
        "task": cell.task,
        "model": cell.model,
        "arm": cell.arm,
        "state": run.state,
        "reason": run.reason,
        "init_seed": seeds.init,
        "order_seed": seeds.order,
        "data_seed": seeds.data,
        "precision": run.facts.get("precision"),
        "device": run.facts.get("gpu", run.facts.get("cpu")),
        **_accuracy_interval(run),
        "digest": run.digest,
        "parent_run_id": run.parent_id,
        "run_id": run.run_id,
    }
    return row | {k: v for k, v in run.metrics.items() if not k.startswith("train/")}


def _accuracy_interval(run: RunRecord) -> dict[str, float]:
    """Return the binomial interval of a run's accuracy over its test rows."""
    from tuner.report.stats import binomial_interval

    accuracy, rows = run.metrics.get("test/accuracy"), int(run.facts.get("rows.test", 0))
    if accuracy is None or rows < 1:
        return {}
    interval = binomial_interval(round(accuracy * rows), rows)
    return {"accuracy_low": interval.low, "accuracy_high": interval.high}
