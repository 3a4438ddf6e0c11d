"""Find and describe DeepSpeed configs: shipped presets and the user's own JSON files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainers.errors import ConfigError, known
from tuner.shipped import shipped_folder

_NONE = "none"


def ds_configs() -> dict[str, dict[str, Any]]:
    """Map every DeepSpeed preset's name to its content."""
    folder = shipped_folder("ds_configs")
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def resolve_ds_config(value: object) -> object:
    """Turn what a study says into the content of a DeepSpeed config; `none` is an empty one.

    Anything with a suffix or a slash is a path, another text the name of a preset; a mapping is
    the content itself.

    Raises:
        ConfigError: No such preset or file, or no JSON object in it.
    """
    if not isinstance(value, str):
        return value
    if "/" in value or Path(value).suffix:
        return _read(Path(value))
    if value == _NONE:
        return {}
    presets = ds_configs()
    if value not in presets:
        raise ConfigError(
            f"no such preset {value!r}; known: {known([*presets, _NONE])}, or a path with a suffix"
        )
    return presets[value]


def describe_ds_config(content: Mapping[str, Any]) -> str:
    """Say what a DeepSpeed config divides among the ranks and what it keeps in host memory."""
    zero = content.get("zero_optimization", {})
    divided = ["optimizer state", "gradients", "parameters"][: zero.get("stage", 0)]
    kept = [
        name
        for key, name in (
            ("offload_optimizer", "optimizer state"),
            ("offload_param", "parameters"),
        )
        if zero.get(key, {}).get("device") == "cpu"
    ]
    said = f"divides among ranks: {', '.join(divided) or 'nothing (plain data parallelism)'}"
    return said + (f"; in host memory: {', '.join(kept)}" if kept else "")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{path}: cannot be read as JSON: {reason}") from error
    if not isinstance(content, dict) or not content:
        raise ConfigError(f"{path}: expected a JSON object with DeepSpeed's settings")
    return content
