"""Reports compare studies' ways of training over seeds, from what the tracker recorded.

Other rooms import from here, from `tuner.report.stats` (statistics over seeds) and from
`tuner.report.wording` (numbers as text). Every other file is the report's own.
"""

from tuner.report.compare import report_on
from tuner.report.comparison import Comparison, Note
from tuner.report.confusion import Confusion
from tuner.report.contracts import (
    FORMS,
    Basis,
    Column,
    Report,
    ReportForm,
    ReportTable,
    all_tables,
    form_class,
    form_names,
)
from tuner.report.finding import find_study
from tuner.report.forms.csv import columns_page
from tuner.report.from_store import build_report, keep_report, report_of_run
from tuner.report.planned import PlannedCell, Search, plan_cell, planned_cells, read_search
from tuner.report.question import Published, Question, read_references
from tuner.report.selection import Asked, Evidence, OtherDefinition, gather

__all__ = [
    "FORMS",
    "Asked",
    "Basis",
    "Column",
    "Comparison",
    "Confusion",
    "Evidence",
    "Note",
    "OtherDefinition",
    "PlannedCell",
    "Published",
    "Question",
    "Report",
    "ReportForm",
    "ReportTable",
    "Search",
    "all_tables",
    "build_report",
    "columns_page",
    "find_study",
    "form_class",
    "form_names",
    "gather",
    "keep_report",
    "plan_cell",
    "planned_cells",
    "read_references",
    "read_search",
    "report_of_run",
    "report_on",
]
