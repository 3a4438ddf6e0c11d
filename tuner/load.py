"""Read a study's YAML file, check all of it, say in one line what is wrong."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from trainers.contract import Seeds
from trainers.errors import BadFile, ConfigError, UnknownField
from tuner.config import StudyConfig
from tuner.ds_configs import ask_deepspeed
from tuner.shipped import study_path
from tuner.space import Value
from tuner.store import DATA_DIR

_KEY = re.compile(r"[\w.]+: ")
_SCIENTIFIC = re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$")


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
    return parse_study(_read(path), where=str(study), folder=path.parent, data_dir=data_dir)


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
    got = "" if first["type"] == "missing" else f", got {_short(first['input'])}"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{place}: {message}{got}"


def dump_study(config: StudyConfig) -> str:
    """Write a study out in full, every default included, as YAML."""
    tree = config.model_dump(mode="json", by_alias=True)
    text: str = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
    return text


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


class _Loader(yaml.SafeLoader):
    """YAML as people write it: 1e-5 is a number, and no key may stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise ConfigError(f"line {line}: the key {key!r} stands twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _SCIENTIFIC, list("-+0123456789."))


def _read(path: Path) -> object:
    try:
        tree: object = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{path}: {line}{problem}") from error
    return tree


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


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
