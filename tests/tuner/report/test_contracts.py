"""Every table and every form keeps to its contract; to add one is to write one file."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import tuner.report.forms
import tuner.report.tables
from tests.tuner.report.comparisons import make_comparison, make_empty
from tests.tuner.report.records import make_runs, report_of
from tuner.report import Report, ReportTable, all_tables, form_class, form_names

TABLES = {table.kind: table for table in all_tables()}
MEDIA = ("page", "text", "narrow")
TABLE = '''"""Count the letters of arms."""

from typing import ClassVar, Literal

from tuner.report.contracts import Column, ReportTable, typed
from tuner.report.view import Heading, TableView, cell_of, count, headings_of, rows_of, word

_FIELDS = (
    (Heading("arm", numeric=False), cell_of("arm", word)),
    (Heading("letters", "of the arm's name"), cell_of("letters", count)),
)


class LettersTable(ReportTable):
    """A row for each arm."""

    COLUMNS: ClassVar = (
        Column("arm", "string", "the arm"),
        Column("letters", "Int64", "letters of its name"),
    )

    kind: Literal["letters"] = "letters"
    """File name of the table."""

    def frame(self, basis):
        arms = sorted({cell.arm for block in basis.blocks for cell in block.cells})
        return typed(({"arm": arm, "letters": len(arm)} for arm in arms), self.COLUMNS)

    def views(self, comparison):
        rows = rows_of(_FIELDS, comparison.rows("letters"))
        yield TableView("Letters of the arms", headings_of(_FIELDS), rows)
'''
FORM = '''"""Write a report as plain lines."""

from typing import Literal

from tuner.report.contracts import ReportForm


class Lines(ReportForm):
    """A line a row, with tabs."""

    kind: Literal["lines"] = "lines"
    """File name of the form."""

    def files(self, report):
        views = report.views("text")
        lines = ["\\t".join(c.text for c in row.cells) for view in views for row in view.rows]
        return {"report.lines": "\\n".join(lines)}
'''


@pytest.fixture(scope="module")
def report() -> Report:
    """Return two tasks with five arms, odd names, missing numbers."""
    return Report(make_comparison())


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
class TestTable:
    """What holds of every file of tuner/report/tables."""

    def test_it_has_a_place_and_documented_columns(self, table: ReportTable) -> None:
        """No two tables share a name or a place; each documented column has a meaning."""
        assert [other.name for other in TABLES.values()].count(table.name) == 1
        assert [other.ORDER for other in TABLES.values()].count(table.ORDER) == 1
        assert type(table).__doc__
        assert len({column.name for column in table.COLUMNS}) == len(table.COLUMNS)
        assert all(column.meaning for column in table.COLUMNS)

    def test_its_frame_has_the_documented_columns(self, table: ReportTable) -> None:
        """First and in order, also where there is no run at all; and it is in report.json."""
        for made in (report_of([]), report_of(make_runs({"full": [0.5], "lora": [0.6]}))):
            frame = made.comparison.frames.get(table.name)
            assert (table.name in json.loads(made.text("json"))) == (frame is not None)
            assert frame is not None or not table.COLUMNS
            if frame is not None and table.COLUMNS:
                names = [column.name for column in table.COLUMNS]
                assert list(frame.columns)[: len(names)] == names
                assert [str(frame[c.name].dtype) for c in table.COLUMNS] == [
                    column.dtype for column in table.COLUMNS
                ]

    def test_its_views_are_complete(self, table: ReportTable, report: Report) -> None:
        """Each row has a cell a heading; each view has rows and a column wherever it is shown."""
        for view in table.views(report.comparison):
            assert view.title
            assert view.rows
            assert all(len(row.cells) == len(view.headings) for row in view.rows)
            assert all(cell.text for row in view.rows for cell in row.cells)
            assert (view.task is None) == (view.model is None)
            shown = [view.part_for(medium) for medium in MEDIA if medium in view.shown_in]
            assert shown
            assert all(part.headings for part in shown)
            assert all(not part.headings[0].numeric for part in shown)

    def test_what_is_no_number_has_no_raw_value(self, table: ReportTable, report: Report) -> None:
        """The page sorts by raw values, which are numbers."""
        for view in table.views(report.comparison):
            for row in view.rows:
                for cell in row.cells:
                    assert cell.value is None or pd.notna(float(cell.value))

    def test_nothing_is_shown_of_nothing(self, table: ReportTable) -> None:
        """A comparison without cells has no row."""
        assert not any(view.rows for view in table.views(make_empty()))


@pytest.mark.parametrize("name", form_names())
class TestForm:
    """What holds of every file of tuner/report/forms."""

    def test_it_writes_text_that_is_the_same_each_time(self, name: str, report: Report) -> None:
        """Files with names of their own that end in a line end."""
        files = report.files([name])
        others = [other for form in form_names() if form != name for other in report.files([form])]
        assert files
        assert not files.keys() & set(others)
        assert all(text.endswith("\n") for text in files.values())
        assert Report(make_comparison()).files([name]) == files
        assert report.text(name) == next(iter(files.values()))
        assert form_class(name).__doc__

    def test_it_shows_every_arm_and_every_flag(self, name: str) -> None:
        """Of a study with all it may have; CSV has no place for a flag."""
        made = report_of([*make_runs({"full": [0.5], "lora": [0.6]})])
        text = "".join(made.files([name]).values())
        assert "full" in text
        assert "lora" in text

    def test_it_can_say_that_there_is_nothing(self, name: str) -> None:
        """A study without a run has a report in every form."""
        assert all(text for text in Report(make_empty()).files([name]).values())


def test_a_new_table_is_one_file_and_stands_in_every_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in the folder of tables; nothing else is told of it."""
    (tmp_path / "letters.py").write_text(TABLE)
    folders = [*tuner.report.tables.__path__, str(tmp_path)]
    monkeypatch.setattr(tuner.report.tables, "__path__", folders)
    made = report_of(make_runs({"full": [0.5], "lora-r8": [0.6]}))
    for form in ("md", "tex", "html", "terminal"):
        text = made.text(form)
        assert "Letters of the arms" in text
        assert "letters" in text
    assert made.files(["csv"])["letters.csv"] == "arm,letters\nfull,4\nlora-r8,7\n"
    content = json.loads(made.text("json"))
    assert content["letters"][1] == {"arm": "lora-r8", "letters": 7}
    assert "| lora-r8 | 7 |" in made.text("md")


def test_a_new_form_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the folder of forms: it is listed, printed and written."""
    (tmp_path / "lines.py").write_text(FORM)
    folders = [*tuner.report.forms.__path__, str(tmp_path)]
    monkeypatch.setattr(tuner.report.forms, "__path__", folders)
    made = report_of(make_runs({"full": [0.5], "lora": [0.6]}))
    assert "lines" in form_names()
    assert made.text("lines").startswith("lora\t1\t30.00\t")
    written = {path.name for path in made.write(tmp_path / "all", pictures=())}
    assert {"report.lines", "report.md", "cells.csv"} <= written
    assert "report.txt" not in written
