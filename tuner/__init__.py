"""Compare ways to fine-tune: `load_study`, `run_study`, `build_report`.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner.config.load import load_study
    from tuner.report.build import build_report
    from tuner.study.run import run_study

__all__ = ["build_report", "load_study", "run_study"]

_HOMES = {
    "build_report": "tuner.report.build",
    "load_study": "tuner.config.load",
    "run_study": "tuner.study",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tuner' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
