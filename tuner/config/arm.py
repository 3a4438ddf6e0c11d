"""An arm of a study: a method, its own settings, and a space with both ends tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    PlainSerializer,
    SerializationInfo,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_serializer,
    field_validator,
)

from trainers.contract import AnyMethod, TrainSettings
from trainers.errors import ConfigError, SeveralFaults, shown
from trainers.plugins import Written
from tuner.config.deepspeed import resolve_ds_config
from tuner.config.faults import fault_lines
from tuner.config.spaces import (
    Choice,
    FloatRange,
    IntRange,
    Point,
    Space,
    parse_dimension,
    points_to_try,
    varied,
)

AnyDimension = Annotated[
    SerializeAsAny[FloatRange | IntRange | Choice], BeforeValidator(parse_dimension)
]
DeepSpeed = Annotated[
    Mapping[str, JsonValue],
    BeforeValidator(resolve_ds_config),
    PlainSerializer(lambda content: content or "none"),
]
"""Content of a DeepSpeed config; an empty mapping: train without DeepSpeed."""
_SEARCHABLE = ("train", "method")
_DEFAULT = "default"
"""The word for a method's own space."""
_UNSET = object()


class Arm(Written):
    """One way of training: a method, fixed settings, and a search space."""

    method: AnyMethod
    """Method: the way of training."""
    train: Mapping[str, Any] = {}
    """Settings that differ from the study's `train`."""
    space: Mapping[str, AnyDimension] = {}
    """Fields that the search varies, or `default` for the method's own; without any, the arm is
    not searched."""
    ranks: int | None = Field(default=None, ge=1, strict=True)
    """Processes of a run, where they differ from the study's."""
    deepspeed: DeepSpeed | None = None
    """DeepSpeed config, where it differs from the study's; `none`: train without."""

    @field_validator("train")
    @classmethod
    def _settings(cls, train: Mapping[str, Any]) -> Mapping[str, Any]:
        TrainSettings.model_validate(dict(train))
        return train

    @field_validator("space", mode="wrap")
    @classmethod
    def _ends(cls, said: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Space:
        """Check both ends of every range that can be read; report those that cannot."""
        if isinstance(said, str):
            said = _default_space(said, info.data)
        if not isinstance(said, Mapping):
            return read(said)  # type: ignore[no-any-return]  # which raises
        space: dict[str, AnyDimension] = {}
        faults: list[str] = []
        for name, dimension in said.items():
            try:
                found = read({name: dimension})
            except ValidationError as error:
                faults += fault_lines(error)
                continue
            if name.partition(".")[0] in _SEARCHABLE and "." in name:
                space |= found
            else:
                faults.append(f"{name}: a space may vary train.* and method.*")
        faults += _faults_of_ends(space, info.data.get("method"))
        if faults:
            raise SeveralFaults(faults)
        return space

    @field_serializer("method")
    def _apart_from_space(self, method: AnyMethod, info: SerializationInfo) -> dict[str, Any]:
        """Leave out the defaults of searched fields: they would read back as set by the user."""
        varied = {name.removeprefix("method.") for name in self.space} - {"kind"}
        return method.model_dump(mode=info.mode, by_alias=info.by_alias, exclude=varied)

    def set_twice(self) -> list[str]:
        """Return a line for each field that is both set and searched, its dotted key first."""
        fixed = {"train": self.train, "method": self.method.model_dump(exclude_unset=True)}
        found = {name: _at(fixed, name) for name in self.space}
        return [
            f"{name}: got {shown(value)}, but space.{name} varies it; leave one of the two out"
            for name, value in found.items()
            if value is not _UNSET
        ]


def _default_space(word: str, arm: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a method's own space, without the fields that the arm sets itself.

    Raises:
        ConfigError: Another word, or the method has no space of its own.
    """
    if word != _DEFAULT:
        raise ConfigError(f"expected a mapping of fields to ranges, or default, got {shown(word)}")
    method: AnyMethod | None = arm.get("method")
    if method is None:  # which is reported itself
        return {}
    if not method.SPACE:
        raise ConfigError(f"default: {method.kind} has no space of its own; write one")
    fixed = {"train": arm.get("train", {}), "method": method.model_dump(exclude_unset=True)}
    return {name: given for name, given in method.SPACE.items() if _at(fixed, name) is _UNSET}


def spread_arms(said: object) -> object:
    """Return arms that are given as a list of methods as a mapping, each with its own space.

    Raises:
        SeveralFaults: One is no name, or stands there twice.
    """
    if not isinstance(said, list | tuple):
        return said
    faults = [
        f"arms: expected names of methods, got {shown(one)}; write a mapping to say more of one"
        for one in said
        if not isinstance(one, str)
    ]
    faults += [f"arms: duplicate name {one!r}" for one in sorted(_repeated(said))]
    if faults:
        raise SeveralFaults(faults)
    return {name: {"method": name, "space": _DEFAULT} for name in said}


def _repeated(said: Sequence[object]) -> set[str]:
    names = [one for one in said if isinstance(one, str)]
    return {name for name in names if names.count(name) > 1}


def _at(tree: Any, dotted: str) -> Any:
    """Return a field of nested mappings by its dotted name; _UNSET: there is none."""
    for key in dotted.split("."):
        tree = tree.get(key, _UNSET) if isinstance(tree, Mapping) else _UNSET
    return tree


def put(tree: dict[str, Any], dotted: str, value: object) -> None:
    """Set a field of nested mappings by its dotted name."""
    *parents, leaf = dotted.split(".")
    for parent in parents:
        if not isinstance(tree.get(parent), dict):
            tree[parent] = {}
        tree = tree[parent]
    tree[leaf] = value


def _faults_of_ends(space: Space, method: AnyMethod | None) -> list[str]:
    """Return each fault of the points to try once, behind the key of the range that causes it."""
    found: dict[str, str] = {}
    for point in points_to_try(space):
        for line in _faults_at(point, method):
            key, _, rest = line.partition(": ")
            named = [n for n in space if f"{key}.".startswith(f"{n}.") or n.startswith(f"{key}.")]
            said = f"{max(named, key=len)}: {rest}" if named else f"{varied(space, point)}: {line}"
            found.setdefault(said if named else line, said)
    return list(found.values())


def _faults_at(point: Point, method: AnyMethod | None) -> Iterator[str]:
    """Validate a point as training settings and, if the method is known, as its fields."""
    tree: dict[str, Any] = {"train": {}, "method": {} if method is None else method.model_dump()}
    for name, value in point.items():
        put(tree, name, value)
    readers = {"train": TrainSettings} | ({} if method is None else {"method": type(method)})
    for part, reader in readers.items():
        try:
            reader.model_validate(tree[part])
        except ValidationError as error:
            yield from fault_lines(error, part)
