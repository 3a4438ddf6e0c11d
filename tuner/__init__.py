"""Compare ways to fine-tune: `load_study`, `run_study`, `build_report`.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner.config import load_study
    from tuner.report import build_report
    from tuner.study import run_study

__all__ = ["build_report", "load_on_use", "load_study", "run_study"]


def load_on_use(package: str, names: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return a package's `__getattr__`: it imports the file of a name when the name is used.

    Args:
        package: The package's `__name__`.
        names: The names that the package exports, by the file that defines them.
    """
    files = {name: file for file, exported in names.items() for name in exported}

    def load(name: str) -> Any:
        if name not in files:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{files[name]}"), name)

    return load


__getattr__ = load_on_use(
    __name__,
    {"config": ["load_study"], "report": ["build_report"], "study": ["run_study"]},
)
