"""Read a study's YAML file and check all of it; each fault is a line of the error."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trainers.contract import Seeds
from trainers.errors import SeveralFaults
from tuner.config.arm import put, spread_arms
from tuner.config.deepspeed import ask_deepspeed
from tuner.config.faults import fault_lines
from tuner.config.shipped import study_path
from tuner.config.spaces import Point, points_to_try, varied
from tuner.config.study import StudyConfig
from tuner.config.yaml_text import key_lines, read_yaml, write_yaml

DATA_DIR = Path.home() / ".cache" / "tuner" / "data"
"""Default folder of the task files."""
_PARTS = ("arms", "tasks", "models")
"""Fields whose items do not depend on each other: the others can be checked without one."""
_ALONE = ("name", "description", "metric", "save", "measure", "timeout_seconds", "max_failures")
"""Fields that conflict with no other field."""


def load_study(study: str | Path, *, data_dir: str | Path = DATA_DIR) -> StudyConfig:
    """Load and check a study: a shipped name, or the path of a YAML file.

    Both ends of every range are tried in a real RunSpec, in every cell.

    Args:
        study: Name or path. Its relative paths are looked for beside its file first.
        data_dir: Folder to look in next.

    Raises:
        ConfigError: A line for each fault: file, dotted key, what was got, what is allowed.
    """
    path = study_path(str(study))
    tree = read_yaml(path)
    folders = (path.parent.absolute(), Path(data_dir).absolute())
    try:
        return _parse(tree, folders)
    except SeveralFaults as error:
        found = _with_lines(str(error).split("\n"), key_lines(path))
        raise SeveralFaults(f"{study}: {fault}" for fault in found) from error


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
        where: Name of the study in messages.
        folder: Folder of its relative paths; by default the working folder.
        data_dir: Folder to look in next.

    Raises:
        ConfigError: As `load_study`.
    """
    folders = (Path(folder).absolute(), Path(data_dir).absolute())
    try:
        return _parse(tree, folders)
    except SeveralFaults as error:
        found = str(error).split("\n")
        raise SeveralFaults(f"{where}: {fault}" for fault in found) from error


def dump_study(config: StudyConfig) -> str:
    """Write a study out in full, every default included, as YAML."""
    tree = config.model_dump(mode="json", by_alias=True)
    return write_yaml(tree)


def fixed_at(
    config: StudyConfig, cell: tuple[str, str, str], point: Mapping[str, object]
) -> StudyConfig:
    """Return a study of one cell of another, with a point of its space fixed.

    Args:
        config: The study.
        cell: Names of the task, the model and the arm.
        point: Values of the fields that the arm searches.

    Raises:
        ConfigError: The point is invalid.
    """
    task, model, arm = cell
    tree = config.model_dump(mode="json", by_alias=True)
    only = tree["arms"][arm] | {"space": {}}
    for name, value in point.items():
        put(only, name, value)
    tree["tasks"] = [one for one in tree["tasks"] if one["name"] == task]
    tree["models"] = [one for one in tree["models"] if one["name"] == model]
    tree |= {"name": f"{config.name}-best", "arms": {arm: only}}
    tree["report"] |= {"baseline": None}
    return parse_study(tree, where=f"the best configuration of {config.name}")


def _parse(tree: object, folders: Sequence[Path]) -> StudyConfig:
    if not isinstance(tree, dict):
        raise SeveralFaults(["expected a mapping with name, tasks, models, arms"])
    if "arms" in tree:
        tree = {**tree, "arms": spread_arms(tree["arms"])}
    try:
        config = _read(tree, folders)
        faults = _conflicts(config)
    except ValidationError as error:
        faults = [*fault_lines(error), *_conflicts_of_the_rest(tree, error, folders)]
    if faults:
        raise SeveralFaults(dict.fromkeys(faults))
    return config.placed(folders)


def _with_lines(faults: Sequence[str], lines: Mapping[str, int]) -> list[str]:
    """Begin each fault with the line of its key, or of the nearest key above it."""
    found: list[tuple[int, str]] = []
    for fault in faults:
        key = fault.partition(": ")[0]
        while key and key not in lines:
            key = key.rpartition(".")[0]
        found.append((lines[key], f"line {lines[key]}: {fault}") if key else (0, fault))
    return [said for _, said in sorted(found, key=itemgetter(0))]


def _read(tree: Mapping[str, Any], folders: Sequence[Path]) -> StudyConfig:
    return StudyConfig.model_validate(tree, context={"folders": folders})


def _conflicts(config: StudyConfig) -> list[str]:
    """Return the conflicts between parts of a study that are each valid."""
    of_arms = {name: _conflicts_of_arm(config, name) for name in config.arms}
    said = []
    for name, faults in of_arms.items():
        for fault in faults:
            everywhere = all(fault in others for others in of_arms.values())
            own = fault.startswith("arms.") or (
                everywhere and not _is_set_by_arm(config, name, fault)
            )
            said.append(fault if own else f"arms.{name}.{fault}")
    return [*config.conflicts(), *said, *_faults_of_deepspeed(config)]


def _conflicts_of_the_rest(
    tree: Mapping[str, Any], error: ValidationError, folders: Sequence[Path]
) -> list[str]:
    """Return the conflicts between the parts that remain without the faulty ones.

    Where fields other than arms, tasks, models and remarks are faulty, there are none to report:
    those fields might be the cause.
    """
    rest: dict[str, Any] = dict(tree)
    bad: dict[str, set[object]] = {}
    for fault in error.errors(include_url=False):
        key, *below = fault["loc"]
        if key in _PARTS and below:
            bad.setdefault(str(key), set()).add(below[0])
        elif key in StudyConfig.model_fields and key not in _ALONE:
            return []
        else:
            rest.pop(str(key), None)
    for key, parts in bad.items():
        rest[key] = _without(rest[key], parts)
        if not rest[key]:
            return []
    try:
        said = _conflicts(_read({"name": "rest", **rest}, folders))
    except ValidationError as more:  # two parts have the same name
        return fault_lines(more)
    # The faulty arm might decide how many epochs the pruner sees.
    return [line for line in said if not (bad.get("arms") and line.startswith("search.pruner"))]


def _without(parts: Any, bad: Collection[object]) -> Any:
    if isinstance(parts, Mapping):
        return {name: part for name, part in parts.items() if name not in bad}
    return [part for number, part in enumerate(parts) if number not in bad]


def _faults_of_deepspeed(config: StudyConfig) -> list[str]:
    """Have DeepSpeed check the configs that are no presets."""
    said = {f"arms.{name}.": arm.deepspeed for name, arm in config.arms.items()}
    said[""] = config.deepspeed
    own = {place: content for place, content in said.items() if content}
    faults = zip(own, ask_deepspeed(list(own.values())), strict=True)
    return [f"{place}{fault}" for place, fault in faults if fault]


def _conflicts_of_arm(config: StudyConfig, name: str) -> list[str]:
    """Return why runs of an arm have no valid spec, at both ends of its ranges; each once."""
    space = config.arms[name].space
    tried = [(point, _faults_at(config, name, point)) for point in points_to_try(space)]
    found: dict[str, str] = {}
    for point, faults in tried:
        for line in faults:
            key = line.partition(": ")[0]
            if key in space:
                said = f"arms.{name}.space.{line}"
            elif all(line in others for _, others in tried):
                said = line  # the same at every point
            else:
                said = f"arms.{name}.space.{varied(space, point)}: {line}"
            found.setdefault(line, said)
    return list(found.values())


def _is_set_by_arm(config: StudyConfig, arm: str, fault: str) -> bool:
    """Return whether the arm, rather than the study, sets the key that a fault begins with."""
    part, _, field = fault.partition(": ")[0].partition(".")
    said = config.arms[arm]
    own: dict[str, bool] = {"train": field in said.train, "deepspeed": said.deepspeed is not None}
    return own.get(part, True)


def _faults_at(config: StudyConfig, arm: str, point: Point) -> list[str]:
    """Return why a point gives no valid spec, for any task and model."""
    found: list[str] = []
    for task, model in itertools.product(config.tasks, config.models):
        seeds = Seeds(init=0, order=0)
        try:
            config.spec(task=task.name, model=model.name, arm=arm, seeds=seeds, point=point)
        except ValidationError as error:
            found += fault_lines(error)
    return found
