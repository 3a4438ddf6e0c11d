"""Find and describe DeepSpeed configs: shipped presets and the user's own JSON files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainers.errors import ConfigError, known
from tuner.shipped import shipped_folder

_NONE = "none"
_KINDS = ("optimizer state", "gradients", "parameters")
"""What ZeRO divides among the ranks, stage by stage."""
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
    """Say what a DeepSpeed config is for, and where each kind of tensor is kept."""
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
