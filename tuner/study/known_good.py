"""Remember cells that can run here: a study that is continued is not checked again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from trainers.train import visible_devices
from tuner.config import Cell

_KNOWN_GOOD = "checked"


def is_known_good(cells: Sequence[Cell], folder: Path) -> bool:
    """Return whether `remember_good` was called for these cells in this environment."""
    return (folder / _KNOWN_GOOD / _digest(cells)).is_file()


def remember_good(cells: Sequence[Cell], folder: Path) -> None:
    """Note that cells have no faults: a study that is continued is not checked again."""
    with contextlib.suppress(OSError):  # then checked again; a full disk is reported elsewhere
        (folder / _KNOWN_GOOD).mkdir(parents=True, exist_ok=True)
        (folder / _KNOWN_GOOD / _digest(cells)).touch()


def _digest(cells: Sequence[Cell]) -> str:
    """Return a digest of everything that decides whether cells can run, environment included."""
    study = cells[0].study
    files = [path for model in study.models for path in model.files()]
    parts = {
        "cells": [cell.fingerprint() for cell in cells],
        "executor": study.executor.model_dump(mode="json"),
        "memory_cap": study.memory_cap,
        "configs": [path.read_bytes().hex() for path in files if path.name == "config.json"],
        "versions": [version(name) for name in ("torch", "transformers", "peft")],
        "devices": visible_devices(),
        "cores": os.cpu_count(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
