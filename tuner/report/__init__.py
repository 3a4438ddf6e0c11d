"""Reports compare studies' ways of training over seeds. The room's door.

Each file is loaded when one of its names is first used. `from tuner.report import stats` gives the
statistics over seeds, without a report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner import load_on_use

if TYPE_CHECKING:
    from tuner.report.best import BestConfiguration as BestConfiguration
    from tuner.report.compare import report_on as report_on
    from tuner.report.comparison import Comparison as Comparison
    from tuner.report.comparison import Note as Note
    from tuner.report.confusion import Confusion as Confusion
    from tuner.report.contracts import FORMS as FORMS
    from tuner.report.contracts import Basis as Basis
    from tuner.report.contracts import Column as Column
    from tuner.report.contracts import Report as Report
    from tuner.report.contracts import ReportForm as ReportForm
    from tuner.report.contracts import ReportTable as ReportTable
    from tuner.report.contracts import all_tables as all_tables
    from tuner.report.contracts import form_class as form_class
    from tuner.report.contracts import form_names as form_names
    from tuner.report.evidence import Asked as Asked
    from tuner.report.evidence import Evidence as Evidence
    from tuner.report.evidence import OtherDefinition as OtherDefinition
    from tuner.report.evidence import gather as gather
    from tuner.report.finding import find_study as find_study
    from tuner.report.forms.csv import columns_page as columns_page
    from tuner.report.from_store import build_report as build_report
    from tuner.report.from_store import keep_report as keep_report
    from tuner.report.from_store import report_of_run as report_of_run
    from tuner.report.planned import PlannedCell as PlannedCell
    from tuner.report.planned import plan_cell as plan_cell
    from tuner.report.planned import planned_cells as planned_cells
    from tuner.report.question import Published as Published
    from tuner.report.question import Question as Question
    from tuner.report.question import read_references as read_references
    from tuner.report.searches import SearchProgress as SearchProgress
    from tuner.report.searches import read_search as read_search
    from tuner.report.standing import Standing as Standing
    from tuner.report.standing import standing_of as standing_of
    from tuner.report.stats import seeds_to_detect as seeds_to_detect
    from tuner.report.wording import counted as counted
    from tuner.report.wording import higher_is_better as higher_is_better
    from tuner.report.wording import short_number as short_number
    from tuner.report.wording import title as title
    from tuner.report.wording import value_text as value_text

_NAMES = {
    "best": ["BestConfiguration"],
    "compare": ["report_on"],
    "comparison": ["Comparison", "Note"],
    "confusion": ["Confusion"],
    "contracts": [
        *("FORMS", "Basis", "Column", "Report", "ReportForm", "ReportTable"),
        *("all_tables", "form_class", "form_names"),
    ],
    "finding": ["find_study"],
    "forms.csv": ["columns_page"],
    "from_store": ["build_report", "keep_report", "report_of_run"],
    "planned": ["PlannedCell", "plan_cell", "planned_cells"],
    "searches": ["SearchProgress", "read_search"],
    "question": ["Published", "Question", "read_references"],
    "evidence": ["Asked", "Evidence", "OtherDefinition", "gather"],
    "standing": ["Standing", "standing_of"],
    "stats": ["seeds_to_detect"],
    "wording": ["counted", "higher_is_better", "short_number", "title", "value_text"],
}
__all__ = sorted(name for names in _NAMES.values() for name in names)
__getattr__ = load_on_use(__name__, _NAMES)
