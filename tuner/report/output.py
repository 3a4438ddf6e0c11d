"""Write a comparison out: as text in any form, to a folder, into its store."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tuner.report.compare import Question, compare
from tuner.report.comparison import CAPTION, DOUBTFUL, NOTHING, UNFAIR, Comparison
from tuner.report.export import CSV_TABLES, render_csv, render_json
from tuner.report.latex import render_latex
from tuner.report.layout import arm_titles, block_views
from tuner.report.markdown import render_markdown
from tuner.report.selection import Evidence
from tuner.store import Store
from tuner.tracking import keep_report as keep_in_mlflow

if TYPE_CHECKING:
    import pandas

    from tuner.report.plots import Picture

Format = Literal["md", "csv", "tex", "html", "json"]
PictureFormat = Literal["svg", "png"]
FORMATS: tuple[Format, ...] = ("md", "csv", "tex", "html", "json")
_WIDE = ("95% interval", "trials", "of these head")


@dataclass(frozen=True)
class Report:
    """A comparison in all its forms. The same records give the same bytes, whatever their order.

    `columns.py` documents the columns of the frames.
    """

    comparison: Comparison

    @property
    def cells(self) -> pandas.DataFrame:
        """One row for each cell and test metric."""
        return self.comparison.cells

    @property
    def pairs(self) -> pandas.DataFrame:
        """One row for each pair of arms and main score."""
        return self.comparison.pairs

    @property
    def runs(self) -> pandas.DataFrame:
        """One row for each confirm run."""
        return self.comparison.runs

    @property
    def trials(self) -> pandas.DataFrame:
        """One row for each search trial."""
        return self.comparison.trials

    @cached_property
    def pictures(self) -> Mapping[str, Picture]:
        """Return the pictures that have something to show, by file name without suffix."""
        from tuner.report.plots import draw

        return draw(self.comparison)

    def markdown(self) -> str:
        """Return tables and sentences for a README."""
        return render_markdown(self.comparison)

    def latex(self) -> str:
        """Return booktabs tables."""
        return render_latex(self.comparison)

    def html(self) -> str:
        """Return one page that needs nothing else."""
        from tuner.report.html import render_html

        return render_html(self.comparison, self.pictures)

    def json(self) -> str:
        """Return everything, raw."""
        return render_json(self.comparison)

    def csv(self, table: str = "cells") -> str:
        """Return one of the tables cells, pairs, runs, trials."""
        return render_csv(self.comparison, table)

    def rows(self) -> list[list[str]]:
        """Return the arms as rows of text, titles first; task and model where they differ.

        They are to fit a terminal, so that some columns of the other forms are left out.
        """
        views = list(block_views(self.comparison))
        differ = [name for name in ("task", "model") if len({getattr(v, name) for v in views}) > 1]
        titles = arm_titles(self.comparison)
        kept = [index for index, title in enumerate(titles) if title not in _WIDE]
        rows = [
            [*(getattr(view, name) for name in differ), *(row.texts[index] for index in kept)]
            for view in views
            for row in view.rows
        ]
        return [[*differ, *(titles[index] for index in kept)], *rows]

    def doubts(self) -> list[str]:
        """Return what makes the rows unfair or doubtful, to be read before them."""
        flags = [f"{UNFAIR}: {flag}." for flag in self.comparison.flags]
        return [*flags, *(f"{DOUBTFUL}: {warning}." for warning in self.comparison.warnings)]

    def notes(self) -> list[str]:
        """Return what else must be known to read the rows."""
        views = list(block_views(self.comparison))
        if not views:
            return [NOTHING]
        notes = [
            f"{note.task} · {note.model}: {note.text}"
            if note.task and len(views) > 1
            else note.text
            for note in self.comparison.notes
        ]
        return [*notes, CAPTION]

    def files(self, formats: Iterable[Format] = FORMATS) -> dict[str, str]:
        """Return the content of each text file, by name."""
        contents: dict[str, str] = {}
        for form in formats:
            if form == "csv":
                contents |= {f"{table}.csv": self.csv(table) for table in CSV_TABLES}
            else:
                made = {
                    "md": self.markdown,
                    "tex": self.latex,
                    "html": self.html,
                    "json": self.json,
                }
                contents[f"report.{form}"] = made[form]()
        return contents

    def write(
        self,
        folder: str | Path,
        formats: Sequence[Format] = FORMATS,
        *,
        pictures: Sequence[PictureFormat] = ("svg", "png"),
    ) -> list[Path]:
        """Write the files, and every picture below `pictures/`; return the paths."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, text in self.files(formats).items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
            paths.append(folder / name)
        return [*paths, *(self._write_pictures(folder / "pictures", pictures) if pictures else ())]

    def _write_pictures(self, folder: Path, suffixes: Sequence[PictureFormat]) -> list[Path]:
        paths = []
        for name, picture in self.pictures.items():
            folder.mkdir(exist_ok=True)
            for suffix in suffixes:
                path = folder / f"{name}.{suffix}"
                path.write_bytes(picture.svg.encode() if suffix == "svg" else picture.png)
                paths.append(path)
        return paths


def report_on(evidence: Evidence, question: Question | None = None) -> Report:
    """Compare the confirm runs of studies.

    Args:
        evidence: What `gather` read from the store.
        question: Baseline and published numbers.

    Raises:
        TestReadEarly: The search has read the test split.
        ConfigError: No run has the metric, or no arm is called as the baseline.
    """
    return Report(compare(evidence, question or Question()))


def keep_report(report: Report, *, store: Store, tracking: str | None = None) -> None:
    """Keep a report in MLflow, as files of the run `report` of each of its studies.

    Pictures are kept as SVG alone: drawing them again as PNG takes as long as all the rest.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "report"
        report.write(folder, pictures=("svg",))
        for study in report.comparison.studies:
            keep_in_mlflow(store, tracking, study, folder)
