"""The remains of a study, made comparable: its reports, and its runs in MLflow.

Two studies that did the same differ in ids, seconds, dates and memory. These are masked, by the
name of their column, and only if a value has the usual form: an empty one, or a score instead, is
kept and is a difference.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

_ID = r"[0-9a-f]{32}"
_NUMBER = r"-?\d+(\.\d+)?(e[-+]?\d+)?"
_MASKS = (
    ("id", r"(parent_)?run_ids?(_[ab])?", rf"{_ID}( {_ID})*"),
    ("seconds", r"seconds(/.*(?<!_n))?", _NUMBER),
    ("bytes", r"(peak_memory|peak_with_eval)_.*|memory/.*(?<!_n)|saved_.*", _NUMBER),
    # Who is best in memory and seconds at once; see also `_is_swap_by_seconds`.
    ("pareto", r"pareto(_probability)?", rf"true|false|True|False|{_NUMBER}"),
)
"""Masks, with the columns and the form of their values; `_n` counts runs."""
_MARKDOWN = {
    "seconds": r"[\d,.]+",
    "peak memory": r"[\d,.]+ [KMGT]?i?B",
    "memory saved: mean peak": r"-?\d+%",
    "largest peak": r"-?\d+%",
    "with evaluation": r"-?\d+%",
    "Pareto-optimal": r"yes|no",
    "over resampled seeds": r"\d+%",
}
"""Columns of the Markdown report that are masked, and the form of their values."""
_SWAPS = r" (Arms change places:|No arms change places)[^\"\n]*"
"""A sentence on budgets, in seconds too; those in trials are compared in JSON."""
_LINES = 6
"""Of a difference that are shown."""


@dataclass(frozen=True)
class Killed:
    """A run in MLflow that was killed, and done again."""

    name: str
    start: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class Remains:
    """The remains of a study."""

    reports: Mapping[str, str]
    """Masked reports, by file name."""
    runs: Counter[str]
    """Runs in MLflow: a masked line for each with all its points, and how often it occurs."""
    killed: Sequence[Killed]
    """Killed runs, in the order of their starts."""


def gather(report: Path, store: Path, study: str) -> Remains:
    """Read the report's folder, and MLflow's database through its public client."""
    texts = {
        path.name: mask_text(path.name, path.read_text(encoding="utf-8"))
        for path in sorted(report.iterdir())
        if path.suffix in (".md", ".csv", ".json")
    }
    client = MlflowClient(f"sqlite:///{(store / 'mlflow.db').resolve()}")
    experiment = client.get_experiment_by_name(study)
    assert experiment is not None, study
    found = list(client.search_runs([experiment.experiment_id], max_results=50_000))
    names = {run.info.run_id: run.info.run_name for run in found}
    killed = [run for run in found if run.info.status == "KILLED"]
    return Remains(
        texts,
        Counter(_line(client, run, names) for run in found if run not in killed),
        sorted(
            (Killed(run.info.run_name, run.info.start_time / 1000) for run in killed),
            key=lambda run: run.start,
        ),
    )


def differences(expected: Remains, found: Remains) -> list[str]:
    """Return the differences of a study from an undisturbed one."""
    said = []
    for name in sorted({*expected.reports, *found.reports}):
        one, other = (side.reports.get(name, "").splitlines() for side in (expected, found))
        if one != other:
            lines = list(difflib.unified_diff(one, other, "undisturbed", "disturbed", "", "", 0))
            said.append("\n".join([f"{name}:", *(line.strip()[:160] for line in lines[:_LINES])]))
    for line, times in (expected.runs - found.runs).items():
        said.append(f"MLflow lacks {times} of: {line[:160]}{_nearest(line, found)}")
    for line, times in (found.runs - expected.runs).items():
        said.append(f"MLflow has {times} too many of: {line[:160]}")
    return said


def mask_text(name: str, text: str) -> str:
    """Mask a report of any form, by its file's name."""
    text = re.sub(_SWAPS, "", text)
    if name.endswith(".json"):
        return json.dumps(_mask_tree(json.loads(text)), indent=1)
    if name.endswith(".csv"):
        return _mask_csv(text)
    return "\n".join(_mask_markdown(text.splitlines()))


def _mask(name: str, value: str) -> str:
    for word, names, values in _MASKS:
        if re.fullmatch(names, name) and re.fullmatch(values, value):
            return " ".join([f"<{word}>"] * len(value.split()))
    return value


def _mask_tree(tree: Any, name: str = "") -> Any:
    if isinstance(tree, dict):
        return {key: _mask_tree(value, key) for key, value in tree.items()}
    if isinstance(tree, list):
        kept = (value for value in tree if not _is_swap_by_seconds(value))
        return [_mask_tree(value, name) for value in kept]
    plain = tree if isinstance(tree, str) else json.dumps(tree)
    masked = _mask(name, plain)
    return tree if masked == plain else masked


def _is_swap_by_seconds(value: Any) -> bool:
    """Return whether a value is a budget in seconds at which arms change places: these vary."""
    return isinstance(value, dict) and value.get("unit") == "seconds" and "before" in value


def _mask_csv(text: str) -> str:
    names, *rows = csv.reader(io.StringIO(text))
    made = io.StringIO()
    csv.writer(made).writerows(
        [names, *([_mask(n, v) for n, v in zip(names, row, strict=True)] for row in rows)]
    )
    return made.getvalue()


def _mask_markdown(lines: Sequence[str]) -> Iterator[str]:
    names: list[str] = []
    for line in lines:
        if not line.startswith("|"):
            names = []
            yield re.sub(rf"(?<=`){_ID}(?=`)|(?<=/runs/){_ID}(?=\))", "<id>", line)
            continue
        cells = line.split("|")
        names = names or [cell.strip() for cell in cells]
        yield "|".join(
            " <masked> " if re.fullmatch(_MARKDOWN.get(name, "(?!)"), cell.strip()) else cell
            for name, cell in zip(names, cells, strict=True)
        )


def _line(client: MlflowClient, run: Run, names: Mapping[str, str]) -> str:
    """Return a run in one line, its name first, with its points but without dates."""
    tags = {key: re.sub(_ID, "<id>", value) for key, value in run.data.tags.items()}
    parent = run.data.tags.get("mlflow.parentRunId")
    run_id = run.info.run_id
    points = {
        name: [
            [point.step, _mask(name, json.dumps(point.value))]
            for point in client.get_metric_history(run_id, name)
        ]
        for name in sorted(run.data.metrics)
    }
    return json.dumps(
        {
            "name": run.info.run_name,
            "parent": None if parent is None else names.get(parent, "unknown"),
            "status": run.info.status,
            "files": sorted(file.path for file in client.list_artifacts(run_id)),
            "points": points,
            "params": run.data.params,
            "tags": tags,
        },
        sort_keys=False,
    )


def _nearest(line: str, found: Remains) -> str:
    """Return the differences from a run of the same name."""
    expected = json.loads(line)
    for other in map(json.loads, found.runs):
        if (other["name"], other["parent"]) == (expected["name"], expected["parent"]):
            parts = [part for part in expected if expected[part] != other[part]]
            inner = [
                f"{part} {key}: {expected[part].get(key)} became {other[part].get(key)}"
                for part in parts
                if isinstance(expected[part], dict)
                for key in sorted({*expected[part], *other[part]})
                if expected[part].get(key) != other[part].get(key)
            ]
            return f"; the one of this name: {', '.join(inner or parts)[:400]}"
    return ""
