"""Run a command of the program inside the tests' own process: what refuses needs no other."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

from tuner.cli import run_command


def refused(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command that is to end before anything is trained, as a process of its own would."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["tuner", *words])
        patch.setattr("tuner.cli.titles.hide_title", lambda _: None)  # it is pytest's own
        for name, value in ({"COLUMNS": "200"} | environment).items():
            patch.setenv(name, value)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run_command()
    return subprocess.CompletedProcess(list(words), code, out.getvalue(), err.getvalue())
