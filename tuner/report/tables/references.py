"""Set published numbers beside ours, with the difference and its standard error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from trainers.errors import ConfigError, known
from trainers.plugins import Frozen
from tuner.report.tables.frame import plain
from tuner.report.wording import higher_is_better

if TYPE_CHECKING:
    import pandas

_COLUMNS: tuple[str, ...] = (
    "source",
    "task",
    "model",
    "method",
    "metric",
    "arm",
    "published_mean",
)
_COLUMNS += ("published_std", "published_n", "mean", "std", "n", "difference", "standard_error")
_ALIASES = {"adapter": "bottleneck", "scibert_scivocab_uncased": "scibert"}
"""Names that papers use, and ours."""


class Published(Frozen):
    """A published mean over seeds: a row of a file of references."""

    source: str
    """Where it was published."""
    task: str
    """Our name of the task."""
    model: str
    """Name of the pretrained model, with or without its owner."""
    method: str
    """Arm or kind of method; `adapter` stands for bottleneck."""
    seeds: int = Field(ge=1)
    """Runs that the mean is over."""
    metric: str
    """Test metric."""
    mean: float
    """As a fraction."""
    std: float = Field(ge=0)
    """Standard deviation over the seeds, as a fraction."""

    @field_validator("mean", "std")
    @classmethod
    def _fraction(cls, value: float, info: ValidationInfo) -> float:
        if higher_is_better(info.data.get("metric", "loss")) and value > 1:
            raise ValueError("a score is a fraction: write 0.572 for 57.2 points")
        return value


def read_references(path: Path) -> tuple[Published, ...]:
    """Read a CSV file with the columns source, task, model, method, seeds, metric, mean, std.

    Raises:
        ConfigError: The file is missing, no CSV, or a row cannot be meant.
    """
    import csv

    wanted = list(Published.model_fields)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in wanted if name not in (reader.fieldnames or ())]
            if missing:
                raise ConfigError(f"{path}: no column {missing[0]!r}; needed: {known(wanted)}")
            lines = [{name: line[name] for name in wanted} for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: {reason}") from None
    return tuple(_published(path, number, line) for number, line in enumerate(lines, start=2))


def references_frame(cells: pandas.DataFrame, published: Iterable[Published]) -> pandas.DataFrame:
    """Join published rows with our cells by task, model, method and metric.

    The standard error of the difference is sqrt(s1^2/n1 + s2^2/n2), of independent means.
    """
    ours = cells.to_dict("records")
    rows = [
        _row(theirs, cell)
        for theirs in published
        for cell in ours
        if _same(theirs, cell) and cell["n"] > 0
    ]
    return plain(rows, _COLUMNS)


def _published(path: Path, number: int, line: dict[str, Any]) -> Published:
    try:
        return Published.model_validate(line)
    except ValidationError as error:
        (first, *_) = error.errors()
        where = f"{path}, line {number}, {first['loc'][0]}"
        said = first["msg"].removeprefix("Value error, ")
        said = f"{said[0].lower()}{said[1:]}"
        raise ConfigError(f"{where}: got {first['input']!r}: {said}") from None


def _same(theirs: Published, cell: dict[Any, Any]) -> bool:
    names = {cell["arm"], cell["method"]}
    return (
        theirs.task == cell["task"]
        and theirs.metric == cell["metric"]
        and _plain_name(theirs.model) == _plain_name(cell["model"])
        and bool(names & {theirs.method, _ALIASES.get(theirs.method, theirs.method)})
    )


def _plain_name(model: str) -> str:
    """Return a model's name without its owner."""
    name = model.rpartition("/")[2].lower()
    return _ALIASES.get(name, name)


def _row(theirs: Published, cell: dict[Any, Any]) -> dict[str, Any]:
    spread, count = cell["std"], cell["n"]
    error = math.sqrt(theirs.std**2 / theirs.seeds + spread**2 / count)  # NaN from one run
    found: Sequence[Any] = (theirs.source, theirs.task, theirs.model, theirs.method)
    found = (*found, theirs.metric, cell["arm"], theirs.mean, theirs.std, theirs.seeds)
    found = (*found, cell["mean"], spread, count, cell["mean"] - theirs.mean, error)
    return dict(zip(_COLUMNS, found, strict=True))
