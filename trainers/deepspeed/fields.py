"""Check a DeepSpeed config with DeepSpeed's own models: its fields and their values.

Run as a program, it reads a JSON list of configs and prints a JSON list of the fault of
each: a process that does not need DeepSpeed can check configs without importing it.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Collection, Mapping
from copy import deepcopy
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from trainers.errors import ConfigError, known, shown

_MANY = 99


def check_fields(content: Mapping[str, Any]) -> None:
    """Raise a ConfigError at the first field or value that DeepSpeed does not know.

    Args:
        content: DeepSpeed's JSON, with `auto` or without.
    """
    from deepspeed.runtime.config import DeepSpeedConfig
    from deepspeed.runtime.precision_config import DeepSpeedBF16Config, DeepSpeedFP16Config
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig

    sections: dict[str, Any] = {
        "zero_optimization": DeepSpeedZeroConfig,
        "bf16": DeepSpeedBF16Config,
        "fp16": DeepSpeedFP16Config,
    }
    content = deepcopy(dict(content))  # DeepSpeed changes its argument
    for key, model in sections.items():
        section = content.get(key, {})
        if not isinstance(section, Mapping):
            raise ConfigError(f"deepspeed.{key}: got {shown(section)}; allowed: a mapping")
        for name, value in section.items():
            # DeepSpeed ignores every field that is `auto`, whatever its name.
            if value == "auto" and name not in {*model.model_fields, *_fields(model, ())}:
                raise ConfigError(f"deepspeed.{key}.{name}{_unknown(name, model, ())}")
        try:
            model(**section)
        except ValidationError as error:
            raise ConfigError(f"deepspeed.{key}{_fault(error, model)}") from error
    # All other fields; the run's own numbers are filled in later.
    decided = {k: v for k, v in content.items() if v != "auto" and k != "train_batch_size"}
    noting = _Noting(decided | {"train_micro_batch_size_per_gpu": 1})
    try:
        DeepSpeedConfig(noting)
    except ValidationError as error:
        raise ConfigError(f"deepspeed: {error.title}{_fault(error)}") from error
    except Exception as error:  # it raises exceptions of any class
        raise ConfigError(f"deepspeed: DeepSpeed refuses it: {_line(str(error))}") from error
    for key in content.keys() - noting.asked:
        raise ConfigError(f"deepspeed.{key}: no such field; {_instead(key, noting.asked)}")


class _Noting(dict[str, Any]):
    """A config that records the keys that DeepSpeed reads: it has no list of them."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        super().__init__(content)
        self.asked: set[str] = set()

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return super().__contains__(key)

    def __getitem__(self, key: str) -> Any:
        self.asked.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def keys(self) -> Any:  # it asks for `key in config.keys()` too
        return self

    def __copy__(self) -> _Noting:
        return self  # it asks a copy


def _fault(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    first = error.errors(include_url=False)[0]
    place = "".join(f".{part}" for part in first["loc"])
    if first["type"] == "extra_forbidden" and model is not None:
        return f"{place}{_unknown(str(first['loc'][-1]), model, first['loc'][:-1])}"
    message = _line(first["msg"].removeprefix("Assertion failed, ").removeprefix("Value error, "))
    got = "" if isinstance(first["input"], BaseModel) else f", got {shown(first['input'])}"
    return f"{place}: {message[0].lower()}{message[1:]}{got}"


def _unknown(name: str, model: type[BaseModel], place: tuple[int | str, ...]) -> str:
    return f": no such field; {_instead(name, _fields(model, place))}"


def _instead(name: str, fields: Collection[str]) -> str:
    near = get_close_matches(name, fields, 1)
    return f"nearest: {near[0]}" if near else f"known: {known(fields, _MANY)}"


def _fields(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """Return the JSON names of a model's fields, or of the model at a place inside it."""
    for part in place:
        named = {field.alias or name: field for name, field in model.model_fields.items()}
        kinds = getattr(named[str(part)].annotation, "__args__", (named[str(part)].annotation,))
        model = next(kind for kind in kinds if isinstance(kind, type) and kind is not type(None))
    return [field.alias or name for name, field in model.model_fields.items()]


def _line(message: str) -> str:
    return (message.strip().splitlines() or ["no reason given"])[0]


def _main() -> None:
    os.environ["DS_ACCELERATOR"] = "cpu"  # the fields are the same, and no device is probed
    gc.disable()  # loading DeepSpeed makes next to no garbage
    faults = []
    for content in json.load(sys.stdin):
        try:
            check_fields(content)
            faults.append("")
        except ConfigError as error:
            faults.append(str(error))
    print(f"\n{json.dumps(faults)}")  # a line of its own, after the log of DeepSpeed
    gc.freeze()  # else Python visits all that it has loaded once more


if __name__ == "__main__":
    _main()
