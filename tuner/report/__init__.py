"""Reports compare studies' ways of training over seeds, from what the tracker recorded.

Other rooms import from here, from `tuner.report.stats` (statistics over seeds) and from
`tuner.report.wording` (numbers as text). Every other file is the report's own.
"""

from tuner.report.compare import Question
from tuner.report.comparison import Comparison, Note
from tuner.report.from_store import build_report, find_study, report_of_run
from tuner.report.output import FORMATS, Format, Report, keep_report, report_on
from tuner.report.planned import PlannedCell, Search, plan_cell, planned_cells, read_search
from tuner.report.selection import Asked, Evidence, OtherDefinition, gather
from tuner.report.tables.references import Published, read_references

__all__ = [
    "FORMATS",
    "Asked",
    "Comparison",
    "Evidence",
    "Format",
    "Note",
    "OtherDefinition",
    "PlannedCell",
    "Published",
    "Question",
    "Report",
    "Search",
    "build_report",
    "find_study",
    "gather",
    "keep_report",
    "plan_cell",
    "planned_cells",
    "read_references",
    "read_search",
    "report_of_run",
    "report_on",
]
