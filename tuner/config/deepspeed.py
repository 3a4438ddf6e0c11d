"""Find and describe DeepSpeed configs: shipped presets and the user's own JSON files."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationInfo

from trainers.contract import folders_of
from trainers.data import find_path, missing_message
from trainers.errors import BadFile, ConfigError, known, nearest, shown
from tuner.config.shipped import shipped_folder

_NONE = "none"
_DEEPEST = 20
_KINDS = ("optimizer state", "gradients", "parameters")
"""Tensors that ZeRO shards over the ranks: stage n shards the first n kinds."""
_PURPOSES = {
    0: "a model whose training fits on one device, on several for speed",
    1: "a model that fits, but for its optimizer state",
    2: "a model that fits, but for optimizer state and gradients",
    3: "a model too large for one device",
}


def ds_configs() -> dict[str, dict[str, Any]]:
    """Map every DeepSpeed preset's name to its content."""
    folder = shipped_folder("ds_configs")
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def resolve_ds_config(value: object, info: ValidationInfo) -> object:
    """Return the content of the DeepSpeed config that a study names; `none` has none.

    A text with a suffix or a slash is a path, looked for beside the study, then in the data
    folder. Any other text is the name of a preset, and a mapping is the content itself.

    Raises:
        ConfigError: There is no such preset or file, or its content is invalid.
    """
    if isinstance(value, str) and value == _NONE:
        return {}
    if isinstance(value, str) and ("/" in value or Path(value).suffix):
        return _read(value, folders_of(info))
    presets = ds_configs()
    names = known([*presets, _NONE])
    if isinstance(value, str):
        if value not in presets:
            hint = nearest(value, presets)
            raise ConfigError(
                f"no such preset {value!r}; known: {names}, or a path with a suffix{hint}"
            )
        return presets[value]
    if not isinstance(value, Mapping):
        allowed = f"a preset ({names}), a path with a suffix, or a mapping of settings"
        raise ConfigError(f"got {shown(value)}; allowed: {allowed}")
    if not value:
        raise ConfigError(
            f"got {{}}, which has no settings; to train without DeepSpeed, write {_NONE}"
        )
    _check_json(value, "")
    return value


def describe_ds_config(content: Mapping[str, Any]) -> str:
    """Describe the purpose of a DeepSpeed config, and where it keeps each kind of tensor."""
    zero = content.get("zero_optimization", {})
    stage = zero.get("stage", 0)
    divided, whole = _KINDS[:stage], _KINDS[stage:]
    kept = [f"all {' and '.join(whole)}"] if whole else []
    kept += [f"a share of {', '.join(divided)}"] if divided else []
    moved = [
        kind
        for key, kind in (("offload_optimizer", _KINDS[0]), ("offload_param", _KINDS[2]))
        if zero.get(key, {}).get("device") == "cpu"
    ]
    purpose = _PURPOSES.get(stage, f"stage {stage}")
    host = f"; {' and '.join(moved)} in host memory, slower" if moved else ""
    return f"{purpose}. Each rank keeps {', '.join(kept)}{host}"


def ask_deepspeed(contents: Sequence[Mapping[str, Any]]) -> list[str]:
    """Have DeepSpeed check each config, in a process of its own; return its fault, "" for none.

    Presets are known to be good and not checked. Without DeepSpeed installed, nothing is checked.

    Raises:
        ConfigError: It is installed, but cannot be imported.
    """
    presets = list(ds_configs().values())
    own = [content for content in contents if content not in presets]
    if not own or importlib.util.find_spec("deepspeed") is None:
        return [""] * len(contents)
    asked = subprocess.run(
        [sys.executable, "-P", "-m", "trainers.deepspeed.fields"],
        input=json.dumps(own),
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        reason = (asked.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ConfigError(f"deepspeed: it cannot be imported: {reason}")
    faults = iter(json.loads(asked.stdout.splitlines()[-1]))
    return ["" if content in presets else next(faults) for content in contents]


def _read(name: str, folders: Sequence[Path]) -> dict[str, Any]:
    path = find_path(name, folders)
    if path is None:
        raise BadFile(f"{name}: {missing_message(name, folders)}")
    try:
        content = json.loads(
            path.read_text(encoding="utf-8-sig"), object_pairs_hook=_without_duplicates
        )
    except OSError as error:
        raise BadFile(f"{path}: cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise BadFile(f"{path}: nested too deeply") from error
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise BadFile(f"{path}: cannot be read as JSON: {reason}") from error
    if not isinstance(content, dict):
        raise BadFile(f"{path}: expected a JSON object with DeepSpeed's settings")
    if not content:
        raise BadFile(f"{path}: the JSON object has no settings")
    _check_json(content, "")
    return content


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"duplicate key {key!r}")
    return dict(pairs)


def _check_json(value: object, place: str, depth: int = 0) -> None:
    """Check that JSON can hold a value: YAML also has dates, and both readers take NaN."""
    if depth > _DEEPEST:
        raise ConfigError(f"{place[:40]}...: nested too deeply")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_json(inner, f"{place}.{key}" if place else str(key), depth + 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _check_json(inner, f"{place}.{number}", depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{place}: got {value}; allowed: a finite number")
    elif isinstance(value, str) and value.lower() in ("yes", "no", "on", "off", "true", "false"):
        raise ConfigError(f"{place}: got {value!r}; allowed: true or false, without quotes")
    elif value is not None and not isinstance(value, (str, int, float)):
        raise ConfigError(f"{place}: got {value}; allowed: a value of JSON")
