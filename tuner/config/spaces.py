"""Search spaces: which fields of a RunSpec vary, over what range."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from pydantic import Field, field_validator, model_validator

from trainers.errors import ConfigError, shown
from trainers.plugins import Written

if TYPE_CHECKING:
    import optuna

Value: TypeAlias = bool | int | float | str | None


class FloatRange(Written):
    """Real numbers between two ends, both included."""

    float_: tuple[float, float] = Field(alias="float")
    """Lower and upper end."""
    log: bool = False
    """Sample the logarithm evenly."""
    step: float | None = Field(default=None, gt=0)
    """Distance between allowed values; not with `log`."""

    @model_validator(mode="after")
    def _ends_in_order(self) -> FloatRange:
        _check_ends(self.float_, log=self.log, step=self.step)
        return self

    def ends(self) -> tuple[Value, ...]:
        """Return the values to try a spec with."""
        return self.float_

    def suggest(self, trial: optuna.Trial, name: str) -> Value:
        """Let the trial choose."""
        low, high = self.float_
        return trial.suggest_float(name, low, high, log=self.log, step=self.step)

    def grid(self) -> list[Value] | None:
        """Return every value, or None where there are infinitely many."""
        count, low = self.count(), self.float_[0]
        if self.step is None or count is None:
            return None
        return [low + index * self.step for index in range(count)]

    def count(self) -> int | None:
        """Return the number of values, or None where there are infinitely many."""
        low, high = self.float_
        return None if self.step is None else int((high - low) / self.step + 1e-9) + 1


class IntRange(Written):
    """Whole numbers between two ends, both included."""

    int_: tuple[int, int] = Field(alias="int")
    """Lower and upper end."""
    log: bool = False
    """Sample the logarithm evenly."""
    step: int = Field(default=1, ge=1)
    """Distance between allowed values; not with `log`."""

    @model_validator(mode="after")
    def _ends_in_order(self) -> IntRange:
        _check_ends(self.int_, log=self.log, step=self.step if self.step > 1 else None)
        return self

    def ends(self) -> tuple[Value, ...]:
        """Return the values to try a spec with."""
        return self.int_

    def suggest(self, trial: optuna.Trial, name: str) -> Value:
        """Let the trial choose."""
        low, high = self.int_
        return trial.suggest_int(name, low, high, log=self.log, step=self.step)

    def grid(self) -> list[Value] | None:
        """Return every value."""
        low, high = self.int_
        return list(range(low, high + 1, self.step))

    def count(self) -> int | None:
        """Return the number of values."""
        low, high = self.int_
        return (high - low) // self.step + 1


class Choice(Written):
    """A list of values."""

    choice: tuple[Value, ...] = Field(min_length=1)
    """The values, all different."""

    @field_validator("choice", mode="before")
    @classmethod
    def _plain(cls, value: object) -> object:
        """Refuse lists and mappings: the tables of trials hold plain values."""
        for item in value if isinstance(value, list | tuple) else ():
            if isinstance(item, list | tuple | Mapping):
                raise ConfigError(
                    f"got {item!r}; allowed: text, numbers, true, false, null; give each list "
                    "or mapping an arm of its own"
                )
        return value

    @model_validator(mode="after")
    def _different(self) -> Choice:
        if len({(type(v), v) for v in self.choice}) < len(self.choice):
            raise ConfigError(f"choice: values must differ, got {shown(self.choice)}")
        return self

    def ends(self) -> tuple[Value, ...]:
        """Return the values to try a spec with: all of them."""
        return self.choice

    def suggest(self, trial: optuna.Trial, name: str) -> Value:
        """Let the trial choose."""
        chosen: Value = trial.suggest_categorical(name, self.choice)
        return chosen

    def grid(self) -> list[Value] | None:
        """Return every value."""
        return list(self.choice)

    def count(self) -> int | None:
        """Return the number of values; 1 and 1.0 count as one, as fields take them alike."""
        return len({(isinstance(value, bool), value) for value in self.choice})


Dimension: TypeAlias = FloatRange | IntRange | Choice
Space: TypeAlias = Mapping[str, Dimension]
Point: TypeAlias = Mapping[str, Value]

_KINDS: dict[str, type[Dimension]] = {"float": FloatRange, "int": IntRange, "choice": Choice}


def describe_space(space: Mapping[str, object]) -> str:
    """Return the fields of a space with their ranges, as people read them."""
    return "; ".join(f"{name} {_range(parse_dimension(said))}" for name, said in space.items())


def _range(dimension: Dimension) -> str:
    if isinstance(dimension, Choice):
        return ", ".join(map(shown, dimension.choice))
    low, high = dimension.ends()
    log = " (log)" if dimension.log else ""
    step = f" by {dimension.step:g}" if dimension.step not in (None, 1) else ""
    return f"{low:g} to {high:g}{step}{log}"


def parse_dimension(value: object) -> Dimension:
    """Read `{float: [a, b]}`, `{int: [a, b]}` or `{choice: [...]}`.

    Raises:
        ConfigError: None or several of the three.
        pydantic.ValidationError: Its values are invalid.
    """
    if isinstance(value, FloatRange | IntRange | Choice):
        return value
    kinds = [kind for kind in _KINDS if isinstance(value, Mapping) and kind in value]
    if len(kinds) != 1:
        raise ConfigError(
            f"expected one of float, int, choice with its values, got {shown(value)}"
        )
    return _KINDS[kinds[0]].model_validate(value)


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Value]:
    """Let a trial choose a point, in the order of the names: their order in YAML is free."""
    return {name: space[name].suggest(trial, name) for name in sorted(space)}


def count_points(space: Space) -> int | None:
    """Return the number of different points, or None where there are infinitely many."""
    counts = [dimension.count() for dimension in space.values()]
    known = [count for count in counts if count is not None]
    return math.prod(known) if len(known) == len(counts) else None


def position(dimension: Dimension, value: float) -> float | None:
    """Return where a value lies in a range, from 0 at its lower end to 1; None for a choice.

    A range whose logarithm is sampled is measured on that scale.
    """
    if isinstance(dimension, Choice):
        return None
    low, high = dimension.ends()
    places = [float(place or 0) for place in (low, value, high)]
    if dimension.log:
        places = list(map(math.log, places))
    return (places[1] - places[0]) / (places[2] - places[0])


def points_to_try(space: Space) -> Iterator[Point]:
    """Yield the point of all first ends, and those that differ from it in one other end."""
    start = {name: dimension.ends()[0] for name, dimension in space.items()}
    yield start
    for name, dimension in space.items():
        for end in dimension.ends()[1:]:
            yield start | {name: end}


def varied(space: Space, point: Point) -> str:
    """Return the dimension in which a point to try differs from the first, or else the first."""
    start = next(points_to_try(space))
    return next((name for name in space if point[name] != start[name]), next(iter(space), ""))


def _check_ends(ends: tuple[float, float], *, log: bool, step: float | None) -> None:
    low, high = ends
    if low >= high:
        raise ConfigError(f"the lower end must be below the upper end, got [{low}, {high}]")
    if log and low <= 0:
        raise ConfigError(f"log needs a lower end above 0, got {low}")
    if log and step is not None:
        raise ConfigError("log and step exclude each other")
    if step is not None and step > high - low:
        raise ConfigError(f"step {step} is wider than the range [{low}, {high}]")
