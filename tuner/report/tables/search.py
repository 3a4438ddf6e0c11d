"""Sum up what each arm's search spent, what it found, and how much of that was luck."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tuner.report.comparison import Comparison
from tuner.report.contracts import Basis, Column, ReportTable, typed
from tuner.report.measures import EPOCHS, best_at_last_epoch, trial_score
from tuner.report.selection import ComparedCell
from tuner.report.tables._columns import ARM, MODEL, TASK
from tuner.report.view import (
    PAGE,
    TEXT,
    Field,
    Heading,
    TableCell,
    TableView,
    cell_of,
    count,
    headings_of,
    number,
    rows_of,
    score,
    word,
)
from tuner.report.wording import missing, title
from tuner.store import RunRecord

if TYPE_CHECKING:
    import pandas

_COLUMNS = (
    TASK,
    MODEL,
    ARM,
    Column("trials", "Int64", "trials that count as budget"),
    Column("finished", "Int64", "of these, those that finished on every search seed"),
    Column("pruned", "Int64", "those that the pruner or the memory cap stopped"),
    Column("failed", "Int64", "those that failed or diverged"),
    Column("epochs", "float64", "epochs that all search runs trained, pruned ones included"),
    Column("finalist_runs", "Int64", "runs of the finalists on fresh seeds"),
    Column("finalist_epochs", "float64", "epochs that they trained"),
    Column("dimensions", "Int64", "fields that the search varies"),
    Column("best_at_last_epoch", "Int64", "confirm runs whose best epoch was the last"),
    Column("confirm_runs", "Int64", "confirm runs that keep their best epoch, of several"),
    Column(
        "half_cost", "float64", "expected best of all finished trials less that of half of them"
    ),
    Column("search_score", "float64", "the chosen trial's validation score in the search"),
    Column("finalists_score", "float64", "its mean on the finalists' seeds"),
    Column("confirm_score", "float64", "its mean on the confirm seeds, on validation too"),
    Column("optimism", "float64", "search_score less confirm_score, in the better direction"),
)


class SearchTable(ReportTable):
    """A row for each searched arm: what "an equal budget" was, and the optimism of its winner."""

    ORDER: ClassVar = 65
    COLUMNS: ClassVar = _COLUMNS

    kind: Literal["search"] = "search"
    """File name of the table."""

    def frame(self, basis: Basis) -> pandas.DataFrame:
        """Add up the searches."""
        cells = [cell for block in basis.blocks for cell in block.cells if cell.trials]
        return typed((_row(cell, basis) for cell in cells), _COLUMNS)

    def views(self, comparison: Comparison) -> Iterator[TableView]:
        """Show all searches together: first what they spent, then what they found."""
        rows = comparison.rows("search")
        fields = (*_place(comparison), *_SPENT)
        below = (
            "Epochs are of the search runs, pruned ones included; finalists' epochs come on top.",
        )
        yield TableView(
            "What each search spent",
            headings_of(fields),
            rows_of(fields, rows),
            "costs",
            below=below if rows else (),
            shown_in=PAGE | TEXT,
        )
        found = (*_place(comparison), *_found(comparison.metric))
        known = [row for row in rows if not missing(row["confirm_score"])]
        yield TableView(
            "What each search found, on validation data",
            headings_of(found),
            rows_of(found, known),
            "costs",
            below=(_OPTIMISM,) if known else (),
            shown_in=PAGE | TEXT,
        )


_OPTIMISM = (
    "One configuration a row: its score in the search, which chose it for being high, then on "
    "seeds that had no part in that choice. The fall from the first to the last is luck that the "
    "search took for skill."
)
_SPENT: tuple[Field, ...] = (
    (Heading("trials"), cell_of("trials", count)),
    (Heading("finished", "on every search seed"), cell_of("finished", count)),
    (Heading("pruned", "by the pruner or the memory cap"), cell_of("pruned", count)),
    (Heading("failed", "or diverged"), cell_of("failed", count)),
    (Heading("epochs", "trained by all search runs"), lambda row: _plain(row["epochs"])),
    (Heading("finalists' epochs", "on top"), lambda row: _plain(row["finalist_epochs"])),
    (Heading("searched fields"), cell_of("dimensions", count)),
    (
        Heading("best at the last epoch", "confirm runs that were still improving at their end"),
        lambda row: _of(row["best_at_last_epoch"], row["confirm_runs"]),
    ),
)


def _place(comparison: Comparison) -> tuple[Field, ...]:
    several = len(comparison.places()) > 1
    arm: Field = (Heading("arm", numeric=False), cell_of("arm", word))
    where: Field = (
        Heading("task and model", numeric=False),
        lambda row: word(f"{row['task']} · {row['model']}"),
    )
    return (where, arm) if several else (arm,)


def _found(metric: str) -> tuple[Field, ...]:
    def points(name: str, about: str, column: str) -> Field:
        return Heading(name, about), lambda row: score(row[column], metric)

    return (
        points(f"search {title(metric)}", "mean over the search seeds", "search_score"),
        points("finalists", "mean over the finalists' seeds", "finalists_score"),
        points("confirm", "mean over the confirm seeds", "confirm_score"),
        points("fall", "from the search to the confirm runs", "optimism"),
        points("half the budget", "would have cost so much of the expected best", "half_cost"),
    )


def _plain(value: Any) -> TableCell:
    return word(None) if missing(value) else number(f"{value:.0f}", float(value))


def _of(found: Any, runs: Any) -> TableCell:
    return word(None) if missing(runs) or not runs else number(f"{found} of {runs}", found / runs)


def _row(cell: ComparedCell, basis: Basis) -> dict[str, Any]:
    counted = [trial for trial in cell.trials if trial.counts]
    states = [trial.state for trial in counted]
    searched = [run for trial in counted for run in trial.runs]
    last = [best_at_last_epoch(run) for run in cell.finished]
    known = [found for found in last if found is not None]
    return {
        "task": cell.task,
        "model": cell.model,
        "arm": cell.arm,
        "trials": cell.search.counted,
        "finished": states.count("finished"),
        "pruned": states.count("pruned"),
        "failed": states.count("failed") + states.count("diverged"),
        "epochs": _epochs(searched),
        "finalist_runs": len(cell.search.finalist_runs),
        "finalist_epochs": _epochs(cell.search.finalist_runs),
        "dimensions": len(cell.searched_fields),
        "best_at_last_epoch": sum(known),
        "confirm_runs": len(known),
        "half_cost": _half_cost(cell, basis),
    } | _scores(cell, basis.metric)


def _epochs(runs: Iterable[RunRecord]) -> float | None:
    """Add up the epochs of runs; None where one does not say."""
    found = [run.metrics.get(EPOCHS) for run in runs]
    return None if None in found else sum(filter(None, found))


def _half_cost(cell: ComparedCell, basis: Basis) -> float | None:
    """Return the expected best of the finished trials less that of half of them."""
    from tuner.report.stats import expected_best
    from tuner.report.wording import higher_is_better

    finished = [trial for trial in cell.search.different if trial.state == "finished"]
    scores = [trial_score(trial, basis.metric) for trial in finished]
    known = [found for found in scores if found is not None]
    if len(known) < 2:
        return None
    higher = higher_is_better(basis.metric)
    curve = expected_best(known, higher_is_better=higher)
    gain = float(curve[-1] - curve[len(known) // 2 - 1])
    return gain if higher else -gain


def _scores(cell: ComparedCell, metric: str) -> dict[str, float | None]:
    """Return the chosen trial's scores in the search, among finalists, and confirmed."""
    from tuner.report.wording import higher_is_better

    chosen = cell.search.chosen
    found = {
        name: next((trial_score(t, metric) for t in trials if t.number == chosen), None)
        for name, trials in (("search", cell.trials), ("finalists", cell.search.finalists))
    }
    values = cell.values(f"validation/{metric}")
    confirm = statistics.fmean(values) if values else None
    fall = None
    if found["search"] is not None and confirm is not None:
        fall = found["search"] - confirm
        fall = fall if higher_is_better(metric) else -fall
    return {
        "search_score": found["search"],
        "finalists_score": found["finalists"],
        "confirm_score": confirm,
        "optimism": fall,
    }
