"""Find plug-ins by file name: the file `lora.py` in `trainers/methods/` is the method `lora`."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, model_validator

from trainers.errors import ConfigError, UnknownField, known


class Frozen(BaseModel):
    """Base of every value that crosses a file or a process border."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, value: object) -> object:
        """Name the known fields when one is misspelt; pydantic's own message does not."""
        names = {field.alias or name for name, field in cls.model_fields.items()}
        for key in value if isinstance(value, Mapping) else ():
            if key not in names:
                raise UnknownField(str(key), names)
        return value


class Plugin(Frozen):
    """Base of methods, tasks and models. A subclass is alone in the file named like its kind."""

    NAMED: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Ready-made settings that a study may call by a short name."""

    kind: str
    """File name of the plug-in."""


P = TypeVar("P", bound=Plugin)


def plugin_class(base: type[P], package: str, kind: str) -> type[P]:
    """Return the plug-in class that the file `kind` of `package` defines.

    Raises:
        ConfigError: No such file, or the file defines no plug-in.
    """
    found = _class_in(base, package, kind) if kind in _module_names(package) else None
    if found is None:
        noun = package.rpartition(".")[2]
        raise ConfigError(f"no such kind {kind!r}; known {noun}: {known(kinds(base, package))}")
    return found


def kinds(base: type[P], package: str) -> list[str]:
    """List the plug-ins of a package, by file name."""
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


def resolve(base: type[P], package: str, value: object) -> P:
    """Turn what a user wrote, a short name or a mapping with `kind`, into a plug-in.

    Raises:
        ConfigError: Unknown name or kind, or neither a name nor a mapping.
        pydantic.ValidationError: The kind's own fields do not hold.
    """
    if isinstance(value, base):
        return value
    if isinstance(value, str):
        table = named(base, package)
        if value not in table:
            noun = package.rpartition(".")[2]
            raise ConfigError(f"no such name {value!r}; known {noun}: {known(table)}")
        settings = table[value]
        if "name" in plugin_class(base, package, settings["kind"]).model_fields:
            settings = {"name": value, **settings}
        return plugin_class(base, package, settings["kind"]).model_validate(settings)
    if isinstance(value, Mapping):
        if not isinstance(value.get("kind"), str):
            raise ConfigError(f"kind: missing; known: {known(kinds(base, package))}")
        return plugin_class(base, package, value["kind"]).model_validate(dict(value))
    raise ConfigError(f"expected a name or a mapping with `kind`, got {value!r}")


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
