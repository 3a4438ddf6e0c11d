"""Define what a table and a form of the report are, and the report that is made of them.

A table is a file in `tables`, a form a file in `forms`. They are found by their file names: to add
one is to write one file.
"""

from __future__ import annotations

import html
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from trainers.errors import ConfigError, known
from trainers.plugins import Plugin, kinds, plugin_class
from tuner.report.answer import Answer, answer
from tuner.report.comparison import (
    CAPTION,
    DOUBTFUL,
    NOTHING,
    READ_FIRST,
    UNFAIR,
    Comparison,
    Row,
)
from tuner.report.evidence import Evidence
from tuner.report.question import Question
from tuner.report.selection import Block
from tuner.report.view import Medium, TableView

if TYPE_CHECKING:
    import pandas

    from tuner.report.best import BestConfiguration
    from tuner.report.plots import Picture

PictureFormat = Literal["svg", "png"]
FORMS = "tuner.report.forms"
"""The package of the forms."""
_TABLES = "tuner.report.tables"
_FRAME = 'style="width: 100%; height: 48rem; border: 0"'


@dataclass(frozen=True)
class Column:
    """A documented column of a table's frame."""

    name: str
    dtype: str
    """pandas' name of its type: string, float64, Int64 or boolean."""
    meaning: str
    """The meaning of its values, with the unit."""


@dataclass(frozen=True)
class Basis:
    """The data that tables are made from."""

    blocks: Sequence[Block]
    evidence: Evidence
    question: Question
    frames: Mapping[str, pandas.DataFrame]
    """The frames of the tables before this one, by name."""

    @property
    def metric(self) -> str:
        """Metric that arms are compared by."""
        return self.evidence.metric

    @property
    def baseline(self) -> str | None:
        """Arm that every other is compared with; None: all pairs are asked about."""
        return self.question.baseline or self.evidence.baseline

    @property
    def margin(self) -> float:
        """Difference of scores up to which arms count as equally good."""
        own = self.question.margin
        return self.evidence.margin if own is None else own


class ReportTable(Plugin):
    """A table of the report: it makes its frame, and the views of it that people see."""

    ORDER: ClassVar[int] = 1000
    """Tables are made in this order. A table may use the frames of tables with lower numbers."""
    EXPORTED_AS: ClassVar[str] = ""
    """Its name in report.json and as a CSV file, where it is not the kind."""
    COLUMNS: ClassVar[tuple[Column, ...]] = ()
    """Its documented columns; a table that has some is written as CSV too."""
    FURTHER: ClassVar[str] = ""
    """Which columns follow the documented ones."""

    @property
    def name(self) -> str:
        """Its name in report.json and as a CSV file."""
        return self.EXPORTED_AS or self.kind

    def frame(self, basis: Basis) -> pandas.DataFrame | None:
        """Return the numbers, raw; None where the table shows those of other frames."""
        return None

    def views(self, comparison: Comparison) -> Iterable[TableView]:
        """Return its views for people; a view without rows is left out."""
        return ()


class ReportForm(Plugin):
    """A form of the report, such as Markdown. Its file's name is what `--format` takes."""

    PICTURES: ClassVar[bool] = True
    """Whether the pictures are written beside it."""
    BY_DEFAULT: ClassVar[bool] = True
    """Whether it is written to a folder when no form is named."""

    @abstractmethod
    def files(self, report: Report) -> dict[str, str]:
        """Return the content of each text file, by name; the first is printed on request."""


def all_tables() -> tuple[ReportTable, ...]:
    """Return every table, in order."""
    found = [
        plugin_class(ReportTable, _TABLES, kind)(kind=kind) for kind in kinds(ReportTable, _TABLES)
    ]
    return tuple(sorted(found, key=lambda table: (table.ORDER, table.kind)))


def form_class(name: str) -> type[ReportForm]:
    """Return the form that a file of `forms` defines.

    Raises:
        ConfigError: No such form.
    """
    return plugin_class(ReportForm, FORMS, name)  # type: ignore[type-abstract]  # a base


def form_names() -> list[str]:
    """List the forms."""
    return kinds(ReportForm, FORMS)  # type: ignore[type-abstract]  # a base


def typed(rows: Iterable[Row], columns: Sequence[Column]) -> pandas.DataFrame:
    """Return a frame with the documented columns, then whatever else the rows hold, by name.

    Args:
        rows: Mappings from column names; a value that a row lacks is missing.
        columns: The documented columns, in their order.
    """
    import pandas

    rows = list(rows)
    names = [column.name for column in columns]
    more = sorted({name for row in rows for name in row} - set(names))
    frame = pandas.DataFrame(rows, columns=[*names, *more])
    return frame.astype({column.name: column.dtype for column in columns})


def plain(rows: Iterable[Row], names: Sequence[str]) -> pandas.DataFrame:
    """Return a frame with these columns, also where there is no row."""
    import pandas

    return pandas.DataFrame(list(rows), columns=list(names))


@dataclass(frozen=True)
class Report:
    """A comparison in all its forms. The same records give the same bytes, whatever their order.

    docs/report-columns.md documents the columns of the frames.
    """

    comparison: Comparison

    @property
    def cells(self) -> pandas.DataFrame:
        """One row for each cell and test metric."""
        return self.comparison.frames["cells"]

    @property
    def pairs(self) -> pandas.DataFrame:
        """One row for each pair of arms and main score."""
        return self.comparison.frames["pairs"]

    @property
    def runs(self) -> pandas.DataFrame:
        """One row for each confirm run."""
        return self.comparison.frames["runs"]

    @property
    def trials(self) -> pandas.DataFrame:
        """One row for each search trial."""
        return self.comparison.frames["trials"]

    @cached_property
    def answer(self) -> Answer:
        """Return what the verdicts come to, in sentences."""
        return answer(self.comparison)

    @property
    def best(self) -> BestConfiguration:
        """Return the configuration of the arm with the best mean.

        Raises:
            ConfigError: No run has finished, or there are several tasks and models, each with its
                own: `comparison.best` has them.
        """
        found = list(self.comparison.best.values())
        if len(found) != 1:
            places = known(" · ".join(place) for place in self.comparison.best)
            raise ConfigError(
                "report.best: of one task and model, and "
                + (
                    f"there are several; comparison.best has them: {places}"
                    if found
                    else "no run has finished"
                )
            )
        return found[0]

    def _repr_html_(self) -> str:
        """Return the page, as a notebook shows it."""
        return f'<iframe srcdoc="{html.escape(self.text("html"))}" {_FRAME}></iframe>'

    @cached_property
    def pictures(self) -> Mapping[str, Picture]:
        """Return the pictures that have something to show, by file name without suffix."""
        from tuner.report.plots import draw

        return draw(self.comparison)

    @cached_property
    def _views(self) -> list[TableView]:
        views = [
            view for table in all_tables() for view in table.views(self.comparison) if view.rows
        ]
        return sorted(views, key=lambda view: view.order)

    def views(self, medium: Medium) -> list[TableView]:
        """Return the tables that a medium shows, each with the columns that it shows."""
        return [view.part_for(medium) for view in self._views if medium in view.shown_in]

    def doubts(self) -> list[str]:
        """Return why the rows are unfair or doubtful, to be read before them."""
        flags = [f"{UNFAIR}: {flag}." for flag in self.comparison.flags]
        doubts = [f"{DOUBTFUL}: {warning}." for warning in self.comparison.warnings]
        findings = [f"{READ_FIRST}: {finding}" for finding in self.comparison.findings]
        return [*flags, *doubts, *findings]

    def notes(self) -> list[str]:
        """Return the notes that help to read the rows."""
        places = self.comparison.places()
        if not places:
            return [NOTHING]
        notes = [
            f"{note.task} · {note.model}: {note.text}"
            if note.task and len(places) > 1
            else note.text
            for note in self.comparison.notes
        ]
        return [*notes, CAPTION]

    def text(self, form: str = "md", **settings: object) -> str:
        """Return the report in one form, as `tuner report --format FORM` prints it.

        Args:
            form: Name of a form.
            settings: The form's own fields, such as a terminal's width.

        Raises:
            ConfigError: No such form.
        """
        made = form_class(form).model_validate({"kind": form, **settings})
        return next(iter(made.files(self).values()))

    def files(
        self, formats: Iterable[str] | None = None, *, pictures: PictureFormat | None = None
    ) -> dict[str, str]:
        """Return the content of each text file, by name.

        Args:
            formats: Names of forms; None: those that are written when none is named.
            pictures: Format of the pictures that stand in `pictures/` beside the files, for the
                forms that show them from there; None: there are none.

        Raises:
            ConfigError: No such form.
        """
        if formats is None:
            formats = [name for name in form_names() if form_class(name).BY_DEFAULT]
        classes = {name: form_class(name) for name in formats}
        settings = {"pictures": pictures} if pictures else {}
        forms = [
            made.model_validate(
                {"kind": name, **{k: v for k, v in settings.items() if k in made.model_fields}}
            )
            for name, made in classes.items()
        ]
        return {name: text for form in forms for name, text in form.files(self).items()}

    def write(
        self,
        folder: str | Path,
        formats: Iterable[str] | None = None,
        *,
        pictures: Sequence[PictureFormat] = ("svg", "png"),
    ) -> list[Path]:
        """Write the files, and every picture below `pictures/`; return the paths.

        Args:
            folder: Made where it is missing.
            formats: As in `files`.
            pictures: The formats of the pictures; none: no pictures.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        shown: PictureFormat | None = "png" if "png" in pictures else next(iter(pictures), None)
        for name, text in self.files(formats, pictures=shown).items():
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
