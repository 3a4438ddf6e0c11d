"""Find plug-ins by file name: the file `lora.py` in `trainers/methods/` is the method `lora`."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationInfo,
    field_validator,
    model_validator,
)

from trainers.errors import ConfigError, SeveralFaults, UnknownField, known, nearest, shown


class Frozen(BaseModel):
    """Base of every value that crosses a file or a process border."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, value: object) -> object:
        """Name the known fields when one is misspelt; pydantic's own message does not."""
        if not isinstance(value, Mapping):
            return value
        names = {field.alias or name for name, field in cls.model_fields.items()}
        unknown = UnknownField(names)
        return {str(key): value[key] if key in names else unknown for key in value}


class Written(Frozen):
    """Base of a study's values: a text is not taken for a number, nor true for 1."""

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: object, info: ValidationInfo) -> object:
        """Refuse values that pydantic would convert, such as "8" or true to a number."""
        field = cls.model_fields[info.field_name or ""]
        converts = any(isinstance(mark, BeforeValidator) for mark in field.metadata)
        fault = "" if converts else _misfit(value, field.annotation)
        if fault:
            raise SeveralFaults(fault)
        return value


class Plugin(Written):
    """Base of methods, tasks and models. A subclass has a file of its own, named like its kind."""

    NAMED: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Ready-made settings, by the short names that a study may use."""
    BESIDES: ClassVar[str] = ""
    """Of a base class: other allowed texts than short names, for the message about a wrong one."""

    kind: str
    """File name of the plug-in."""

    @classmethod
    def settings_of(cls, text: str, folders: Sequence[Path]) -> Mapping[str, Any] | None:
        """Return the settings for a text that is no short name; None: the text is invalid.

        Args:
            text: The study's text.
            folders: Folders for the study's relative paths, in turn.
        """
        return None

    @classmethod
    def hint_for(cls, text: str, folders: Sequence[Path]) -> str:
        """Return the end of an error message: how to write what an invalid text may mean."""
        return ""


P = TypeVar("P", bound=Plugin)
_NUMBER = re.compile(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*")


def plugin_class(base: type[P], package: str, kind: str) -> type[P]:
    """Return the plug-in class that the file `kind` of `package` defines.

    Raises:
        ConfigError: No such file, or the file defines no plug-in.
    """
    found = _class_in(base, package, kind) if _is_module(package, kind) else None
    if found is None:
        noun = package.rpartition(".")[2]
        there = kinds(base, package)
        raise ConfigError(
            f"no such kind {kind!r}; known {noun}: {known(there)}{nearest(kind, there)}"
        )
    return found


def kinds(base: type[P], package: str) -> list[str]:
    """Return the plug-ins of a package, by file name."""
    return [name for name in _module_names(package) if _class_in(base, package, name)]


def named(base: type[P], package: str) -> dict[str, dict[str, Any]]:
    """Map every short name of a package to its settings: bare kinds and each plug-in's `NAMED`."""
    found: dict[str, dict[str, Any]] = {}
    for kind in kinds(base, package):
        plugin = plugin_class(base, package, kind)
        if not any(field.is_required() for field in plugin.model_fields.values()):
            found[kind] = {"kind": kind}
        for name, settings in plugin.NAMED.items():
            found[name] = {"kind": kind, **settings}
    return found


def resolve(base: type[P], package: str, value: object, folders: Sequence[Path] = ()) -> P:
    """Turn a user's short name, or mapping with `kind`, into a plug-in.

    Args:
        base: Base class of the plug-ins.
        package: Package of their files.
        value: The short name or mapping.
        folders: Folders for the study's relative paths, in turn.

    Raises:
        ConfigError: Unknown name or kind, or neither a name nor a mapping.
        pydantic.ValidationError: A field of the kind is invalid.
    """
    if isinstance(value, base):
        return value
    if isinstance(value, str):
        settings = _settings_of(base, package, value, folders)
        return plugin_class(base, package, settings["kind"]).model_validate(settings)
    if isinstance(value, Mapping):
        if not isinstance(value.get("kind"), str):
            got = f"got {shown(value['kind'])}" if "kind" in value else "missing"
            raise ConfigError(f"kind: {got}; known: {known(kinds(base, package))}")
        return plugin_class(base, package, value["kind"]).model_validate(dict(value))
    hint = "; put a name in quotes" if isinstance(value, bool | int | float) else ""
    raise ConfigError(f"expected a name or a mapping with `kind`, got {shown(value)}{hint}")


def _settings_of(
    base: type[P], package: str, text: str, folders: Sequence[Path]
) -> Mapping[str, Any]:
    table = named(base, package)
    if text in table:
        settings = table[text]
        has_name = "name" in plugin_class(base, package, settings["kind"]).model_fields
        return {"name": text, **settings} if has_name else settings
    hint = nearest(text, table)
    for kind in kinds(base, package):
        plugin = plugin_class(base, package, kind)
        found = plugin.settings_of(text, folders)
        if found is not None:
            return {"kind": kind, **found}
        hint = hint or plugin.hint_for(text, folders)
    noun = package.rpartition(".")[2]
    besides = f"; or {base.BESIDES.format('NAME' if hint else text)}" if base.BESIDES else ""
    raise ConfigError(f"no such name {text!r}; known {noun}: {known(table)}{besides}{hint}")


def _is_module(package: str, kind: str) -> bool:
    """Return whether a package has a public module, without a look at all of its files."""
    public = kind.isidentifier() and kind[0] != "_"
    return public and importlib.util.find_spec(f"{package}.{kind}") is not None


def _module_names(package: str) -> list[str]:
    folder = importlib.import_module(package)
    return sorted(m.name for m in pkgutil.iter_modules(folder.__path__) if m.name[0] != "_")


def _class_in(base: type[P], package: str, kind: str) -> type[P] | None:
    module = importlib.import_module(f"{package}.{kind}")
    for member in vars(module).values():
        if (
            inspect.isclass(member)
            and issubclass(member, base)
            and member.__module__ == module.__name__
            and not inspect.isabstract(member)
            and not member.__name__.startswith("_")
        ):
            return member
    return None


def _misfit(value: object, annotation: Any) -> list[str]:
    """Return errors where a value has another type than a field takes; none where unsure."""
    if get_origin(annotation) is tuple and isinstance(value, list | tuple):
        faults = ((n, _misfit(item, get_args(annotation)[0])) for n, item in enumerate(value))
        return [f"{number}: {fault}" for number, found in faults for fault in found]
    takes = _scalars(annotation)
    if type(value) in takes or not takes:
        return []
    if takes <= {bool, type(None)} and isinstance(value, int | float | str):
        return [f"input should be true or false, got {shown(value)}"]
    noun = "number" if float in takes else "integer"
    if takes & {int, float} and isinstance(value, bool):
        return [f"input should be a valid {noun}, got {shown(value)}"]
    if takes & {int, float} and isinstance(value, str):
        return [f"input should be a valid {noun}, got {shown(value)}{_how_to_write(value)}"]
    return []


def _how_to_write(text: str) -> str:
    """Return how to write a number that a text was meant to be; "": it is no number."""
    if _NUMBER.fullmatch(text):
        return "; write a number without quotes and without the tag !!str"
    if _NUMBER.fullmatch(text.replace(",", ".", 1)):
        return "; a decimal has a point, thousands no separator"
    return ""


@cache
def _scalars(annotation: Any) -> frozenset[type]:
    """Return the types that a field takes; none: it takes others than scalars too."""
    if annotation in (bool, int, float, str, type(None)):
        return frozenset({annotation})
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return frozenset(map(type, args))
    if origin is Annotated:
        return _scalars(args[0])
    kinds = [_scalars(arg) for arg in args] if origin in (Union, UnionType) else []
    return frozenset().union(*kinds) if kinds and all(kinds) else frozenset()
