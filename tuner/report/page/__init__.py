"""What a page shows of a comparison: tables of cells with their text and their raw values."""

from __future__ import annotations

from tuner.report.page.blocks import PageBlock, page_blocks
from tuner.report.page.table import TableView
from tuner.report.page.whole import across_tables, run_tables

__all__ = ["PageBlock", "TableView", "across_tables", "page_blocks", "run_tables"]
