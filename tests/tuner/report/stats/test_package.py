"""Promises of the package of statistics."""

from __future__ import annotations

import subprocess
import sys

from tuner.report import stats


def test_importing_the_statistics_is_light() -> None:
    """Neither scipy nor statsmodels nor pandas is loaded before a function needs it."""
    script = "import sys, tuner.report.stats; print(*{n.partition('.')[0] for n in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "numpy" in loaded
    assert loaded & {"scipy", "statsmodels", "pandas", "matplotlib", "torch", "mlflow"} == set()


def test_every_public_name_is_there_and_explained() -> None:
    """`from tuner.report import stats` gives all of `__all__`, each with a docstring."""
    assert stats.__all__ == sorted(stats.__all__)
    assert [name for name in stats.__all__ if not getattr(stats, name).__doc__] == []
