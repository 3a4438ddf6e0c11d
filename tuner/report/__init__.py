"""Reports compare a study's ways of training over seeds, from what the tracker recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.report.render import render_markdown, render_notes, render_rows
from tuner.report.tables import Tables, build_tables
from tuner.trackers import RunRecord

if TYPE_CHECKING:
    import pandas

__all__ = ["Report", "Tables", "build_report", "build_tables"]


@dataclass(frozen=True)
class Report:
    """A study's comparison. The same records give the same bytes, whatever their order."""

    tables: Tables

    @property
    def cells(self) -> pandas.DataFrame:
        """One row a cell; see `Tables`."""
        return self.tables.cells

    @property
    def runs(self) -> pandas.DataFrame:
        """One row a run; see `Tables`."""
        return self.tables.runs

    def markdown(self) -> str:
        """Return the comparison for people."""
        return render_markdown(self.tables)

    def rows(self) -> list[list[str]]:
        """Return the comparison as rows of text, titles first."""
        return render_rows(self.tables)

    def notes(self) -> list[str]:
        """Return what must be known to read the rows."""
        return render_notes(self.tables)

    def write(self, folder: Path) -> list[Path]:
        """Write `report.md`, `cells.csv` and `runs.csv` (raw numbers), and return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        contents = {
            "report.md": self.markdown(),
            "cells.csv": self.cells.to_csv(index=False, lineterminator="\n"),
            "runs.csv": self.runs.to_csv(index=False, lineterminator="\n"),
        }
        for name, text in contents.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
        return [folder / name for name in contents]


def build_report(records: Sequence[RunRecord], *, metric: str | None = None) -> Report:
    """Compare the confirm runs of a study.

    Args:
        records: What `Tracker.runs` returned.
        metric: The study's metric, such as `macro_f1`; unless given, that of the last run.
    """
    if metric is None:
        last = max(records, key=lambda record: (record.start, record.run_id), default=None)
        metric = last.params.get("metric", "macro_f1") if last else "macro_f1"
    return Report(build_tables(records, metric=metric))
