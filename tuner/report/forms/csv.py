"""Write the documented tables of a report as CSV: raw numbers, stable names."""

from __future__ import annotations

from typing import ClassVar, Literal

from tuner.report.contracts import Report, ReportForm, all_tables


class Csv(ReportForm):
    """The raw numbers of cells, pairs, runs and trials, a file each."""

    PICTURES: ClassVar = False

    kind: Literal["csv"] = "csv"
    """File name of the form."""

    def files(self, report: Report) -> dict[str, str]:
        """Return a file a table; floats come back bit-equal, missing values are empty."""
        return {
            f"{table.name}.csv": report.comparison.frames[table.name].to_csv(
                index=False, lineterminator="\n"
            )
            for table in all_tables()
            if table.COLUMNS
        }


def columns_page() -> str:
    """Return docs/report-columns.md."""
    lines = [
        "# Columns of the exported tables",
        "",
        "`tuner report STUDY --output DIR` writes them as CSV; `report.json` has the same rows",
        "and names. Scores are fractions, memory is in bytes, time in seconds. A missing value is",
        "empty (JSON: null). Made from `tuner/report/tables/`:",
        "",
        "```",
        "python -c 'from tuner.report import columns_page as p; print(p(), end=\"\")'",
        "```",
    ]
    for table in all_tables():
        if table.COLUMNS:
            lines += ["", f"## {table.name}.csv", "", "| column | type | meaning |"]
            lines += ["| --- | --- | --- |"]
            lines += [f"| `{c.name}` | {c.dtype} | {c.meaning} |" for c in table.COLUMNS]
            lines += [f"| {table.FURTHER} |  |  |"] if table.FURTHER else []
    return "\n".join([*lines, ""])
