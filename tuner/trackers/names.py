"""Name runs, metrics, params and tags so that MLflow takes them."""

from __future__ import annotations

import hashlib
import re

import yaml

from trainers.contract import RunResult, Seeds
from tuner.trackers.base import Group

_NOT_ALLOWED = re.compile(r"[^/\w.\- :]")
_CUT = re.compile(r" \.\.\. \(cut from \d+ characters\)\Z")
_LONGEST_NAME = 250


def entity_name(name: str) -> str:
    """Return a metric's, param's or tag's name with what MLflow forbids in it written in hex.

    Task labels become parts of metric names and may hold anything: `f1/A & B` turns into
    `f1/A _x26 B`. A name that MLflow takes is returned unchanged.
    """
    # MLflow may treat names as paths and refuses those that would resolve to another one.
    name = "/".join(map(_path_part, _NOT_ALLOWED.sub(_in_hex, name).split("/")))
    if len(name) <= _LONGEST_NAME:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: _LONGEST_NAME - 9]}_{mark}"


def cut(value: str, longest: int) -> str:
    """Return a value that fits, with a note of its length where it had to be cut."""
    if len(value) <= longest:
        return value
    note = f" ... (cut from {len(value)} characters)"
    return value[: longest - len(note)] + note


def is_cut(value: str) -> bool:
    """Tell whether `cut` had to shorten a value."""
    return _CUT.search(value) is not None


def final_metrics(result: RunResult) -> dict[str, float]:
    """Return all numbers of a result under the names that the store uses."""
    values = result.metrics() | {"epoch": result.epoch}
    return {entity_name(name): value for name, value in values.items()}


def run_name(group: Group, seeds: Seeds | None, *, with_cell: bool) -> str:
    """Name a run in MLflow's table, such as `lora · trial 3 · seed 7`.

    Args:
        group: The run's configuration.
        seeds: None for the configuration's parent run.
        with_cell: Put task and model first, for a study with several of them.
    """
    parts = [group.task, group.model] if with_cell else []
    searched = group.phase == "search" and group.trial is not None
    parts += [group.arm, f"trial {group.trial}" if searched else group.phase]
    parts += [f"seed {seed_text(seeds)}"] if seeds else []
    return " · ".join(parts)


def seed_text(seeds: Seeds) -> str:
    """Return one number where init and order are seeded alike, as studies do, else both."""
    return str(seeds.init) if seeds.init == seeds.order else f"{seeds.init}/{seeds.order}"


def has_several_cells(resolved_yaml: str) -> bool:
    """Tell whether a study has more than one task or model, so that runs' names must say which."""
    study = yaml.safe_load(resolved_yaml)
    if not isinstance(study, dict):
        return False
    return any(len(study.get(key) or ()) > 1 for key in ("tasks", "models"))


def _path_part(part: str) -> str:
    if not part:
        return "_x2f"
    return part.replace(".", "_x2e") if set(part) == {"."} else part


def _in_hex(match: re.Match[str]) -> str:
    return f"_x{ord(match.group()):02x}"
