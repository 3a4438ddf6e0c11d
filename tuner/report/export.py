"""Write a comparison as JSON and CSV: raw numbers, stable names."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import math
from typing import TYPE_CHECKING, Any

from tuner.report.comparison import Comparison
from tuner.report.tables.budget import place_swaps
from tuner.report.wording import missing

if TYPE_CHECKING:
    import pandas

SCHEMA = 1
"""Rises when a name in `report.json` changes its meaning or goes."""
CSV_TABLES = ("cells", "pairs", "runs", "trials")
_FRAMES = (*CSV_TABLES, "ranks", "budget", "tradeoff", "variance", "curves", "references")


def render_csv(comparison: Comparison, table: str) -> str:
    """Return one of the four tables; floats come back bit-equal, missing values are empty."""
    frame: pandas.DataFrame = getattr(comparison, table)
    return frame.to_csv(index=False, lineterminator="\n")


def render_json(comparison: Comparison) -> str:
    """Return everything: every frame as a list of rows, missing values null, and sentences."""
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "version": importlib.metadata.version("tuner-studies"),
        "studies": list(comparison.studies),
        "metric": comparison.metric,
        "baseline": comparison.baseline,
        "flags": list(comparison.flags),
        "warnings": list(comparison.warnings),
        "notes": [dataclasses.asdict(note) for note in comparison.notes],
    }
    content |= {name: _records(getattr(comparison, name)) for name in _FRAMES}
    swaps = place_swaps(comparison.budget, metric=comparison.metric)
    content["swaps"] = [dataclasses.asdict(swap) for swap in swaps]
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _records(frame: pandas.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(name): _json(value) for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def _json(value: Any) -> Any:
    if missing(value) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value.item() if hasattr(value, "item") else value
