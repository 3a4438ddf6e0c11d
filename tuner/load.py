"""Read a study's YAML file, check all of it, say in one line what is wrong."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import ValidationError

from trainers.contract import Seeds
from trainers.errors import BadFile, ConfigError, UnknownField, shown
from tuner.config import StudyConfig
from tuner.ds_configs import ask_deepspeed
from tuner.shipped import study_path
from tuner.space import Value
from tuner.store import DATA_DIR
from tuner.yaml_text import read_yaml, write_yaml

_KEY = re.compile(r"[\w.]+: ")
_MAPPING = "input should be a mapping, `key: value`"
_EXPECTED = {
    "tuple_type": "input should be a list",
    "list_type": "input should be a list",
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
}
"""What pydantic says in Python's words, by the type of its fault."""


def load_study(study: str | Path, *, data_dir: str | Path = DATA_DIR) -> StudyConfig:
    """Load and check a study: a shipped name, or the path of a YAML file.

    Both ends of every range are tried in a real RunSpec, in every cell.

    Args:
        study: Name or path. Its own relative paths are looked for beside its file first.
        data_dir: Where they are looked for next.

    Raises:
        ConfigError: In one line: file, dotted key, what was got, what is allowed.
    """
    path = study_path(str(study))
    return parse_study(read_yaml(path), where=str(study), folder=path.parent, data_dir=data_dir)


def parse_study(
    tree: object,
    *,
    where: str = "study",
    folder: str | Path = ".",
    data_dir: str | Path = DATA_DIR,
) -> StudyConfig:
    """Check a study given as a mapping, as `load_study` does for a file.

    Args:
        tree: The study.
        where: What messages call it.
        folder: Where its relative paths are looked for; by default in the working folder.
        data_dir: Where they are looked for next.

    Raises:
        ConfigError: As `load_study`.
    """
    if not isinstance(tree, dict):
        raise ConfigError(f"{where}: expected a mapping with name, tasks, models, arms")
    folders = (Path(folder).absolute(), Path(data_dir).absolute())
    try:
        config = StudyConfig.model_validate(tree, context={"folders": folders}).placed(folders)
    except ValidationError as error:
        raise ConfigError(f"{where}: {one_line(error)}") from error
    _check_arms(config, where)
    _check_deepspeed(config, where)
    return config


def one_line(error: ValidationError, prefix: str = "") -> str:
    """Say the first fault of a validation: dotted key, what was got, what is allowed."""
    first = error.errors(include_url=False)[0]
    place = _dotted(prefix, *(str(part) for part in first["loc"] if not _internal(part)))
    cause = (first.get("ctx") or {}).get("error")
    if isinstance(cause, ValidationError):
        return one_line(cause, place)
    if isinstance(cause, UnknownField):
        return f"{_dotted(place, cause.key)}: {cause}"
    if isinstance(cause, BadFile):
        return f"{place}: {cause}"
    if isinstance(cause, ConfigError):
        return _join(place, str(cause))
    got = "" if first["type"] == "missing" else f", got {shown(first['input'])}"
    said = _EXPECTED.get(first["type"], first["msg"])
    return f"{place}: {said[0].lower()}{said[1:]}{got}{_hint(first['type'], first['input'])}"


def dump_study(config: StudyConfig) -> str:
    """Write a study out in full, every default included, as YAML."""
    tree = config.model_dump(mode="json", by_alias=True)
    return write_yaml(tree)


def _check_arms(config: StudyConfig, where: str) -> None:
    for name in config.arms:
        _try_spec(config, name, {}, f"{where}: arms.{name}")
        space = config.arms[name].space
        start: dict[str, Value] = {field: space[field].ends()[0] for field in space}
        for field, dimension in space.items():
            for end in dimension.ends():
                place = f"{where}: arms.{name}.space.{field}"
                _try_spec(config, name, start | {field: end}, place)


def _check_deepspeed(config: StudyConfig, where: str) -> None:
    """Have DeepSpeed look at what the study itself says; presets are known to be good."""
    said = {f"arms.{name}.": arm.deepspeed for name, arm in config.arms.items()}
    said[""] = config.deepspeed
    own = {place: content for place, content in said.items() if content}
    for place, fault in zip(own, ask_deepspeed(list(own.values())), strict=True):
        if fault:
            raise ConfigError(f"{where}: {place}{fault}")


def _try_spec(config: StudyConfig, arm: str, point: dict[str, Value], place: str) -> None:
    seeds = Seeds(init=0, order=0)
    for task in config.tasks:
        for model in config.models:
            try:
                config.spec(task=task.name, model=model.name, arm=arm, seeds=seeds, point=point)
            except ValidationError as error:
                reason = one_line(error)
                field, _, rest = reason.partition(": ")
                if field in point:  # another dimension's value stands in it too
                    place = f"{place.partition('.space.')[0]}.space.{field}"
                if place.endswith(field):
                    said = f"{place}: {rest}"
                else:
                    said = f"{place}: {reason}" if point else _join(place, reason)
                raise ConfigError(said) from error


def _internal(part: object) -> bool:
    """Tell pydantic's names of validators in a location from keys of the document."""
    return isinstance(part, str) and ("[" in part or part in ("FloatRange", "IntRange", "Choice"))


def _dotted(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def _join(place: str, message: str) -> str:
    """Put a place before a message, which may itself begin with a dotted key below it."""
    if not place:
        return message
    return f"{place}.{message}" if _KEY.match(message) else f"{place}: {message}"


def _hint(fault: str, value: object) -> str:
    """Say how a value may be written; empty: the message says it already."""
    if value is None:
        quotes = "; put a text in quotes" if fault == "string_type" else ""
        return f", which an empty value is too{quotes}" if fault != "missing" else ""
    if fault == "tuple_type" and isinstance(value, int | float | str):
        return f"; such as [{value}]"
    return "; put it in quotes" if fault == "string_type" else ""
