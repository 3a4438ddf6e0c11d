"""Hold the options of a comparison: a baseline, and published numbers to set beside ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from trainers.errors import ConfigError, known
from trainers.plugins import Frozen
from tuner.report.wording import higher_is_better


class Published(Frozen):
    """A published mean over seeds: a row of a file of references."""

    source: str
    """Where it was published."""
    task: str
    """Our name of the task."""
    model: str
    """Name of the pretrained model, with or without its owner."""
    method: str
    """Arm or kind of method; `adapter` means bottleneck."""
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


@dataclass(frozen=True)
class Question:
    """The options of a comparison."""

    baseline: str | None = None
    """Arm to compare every other with; None: the study's own, or all pairs where it has none."""
    margin: float | None = None
    """Difference of scores, as a fraction, up to which arms count as equally good; None: the
    study's own."""
    published: tuple[Published, ...] = ()
    """Numbers to set beside ours."""


def read_references(path: Path) -> tuple[Published, ...]:
    """Read a CSV file with the columns source, task, model, method, seeds, metric, mean, std.

    Raises:
        ConfigError: The file is missing or no CSV, or a row is invalid.
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


def _published(path: Path, number: int, line: dict[str, Any]) -> Published:
    try:
        return Published.model_validate(line)
    except ValidationError as error:
        (first, *_) = error.errors()
        where = f"{path}, line {number}, {first['loc'][0]}"
        reason = first["msg"].removeprefix("Value error, ")
        reason = f"{reason[0].lower()}{reason[1:]}"
        raise ConfigError(f"{where}: got {first['input']!r}: {reason}") from None
