"""Write a report as JSON: every number, raw, and every sentence."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tuner.report.contracts import Report, ReportForm
from tuner.report.tables.budget import place_swaps
from tuner.report.wording import missing

if TYPE_CHECKING:
    import pandas

SCHEMA = 2
"""Rises when a name in `report.json` changes its meaning or goes."""


class Json(ReportForm):
    """Every frame as a list of rows, missing values null, and all sentences, for programs."""

    PICTURES: ClassVar = False

    kind: Literal["json"] = "json"
    """File name of the form."""

    def files(self, report: Report) -> dict[str, str]:
        """Return `report.json`."""
        comparison = report.comparison
        content: dict[str, Any] = {
            "schema": SCHEMA,
            "version": importlib.metadata.version("tuner-studies"),
            "studies": list(comparison.studies),
            "metric": comparison.metric,
            "baseline": comparison.baseline,
            "answer": {**dataclasses.asdict(report.answer), "lines": report.answer.lines()},
            "findings": list(comparison.findings),
            "verdicts": [row for row in _records(report.pairs) if row["asked"]],
            "flags": list(comparison.flags),
            "warnings": list(comparison.warnings),
            "notes": [dataclasses.asdict(note) for note in comparison.notes],
        }
        content |= {name: _records(frame) for name, frame in comparison.frames.items()}
        swaps = place_swaps(comparison.frames["budget"], metric=comparison.metric)
        content["swaps"] = [dataclasses.asdict(swap) for swap in swaps]
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        return {"report.json": f"{text}\n"}


def _records(frame: pandas.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(name): _json(value) for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def _json(value: Any) -> Any:
    if missing(value) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value.item() if hasattr(value, "item") else value
