"""Call `tuner memory` as the command line does."""

from __future__ import annotations

from typer.testing import CliRunner

from tuner.cli.app import app


def predict(*words: str) -> str:
    """Return what the command prints."""
    done = CliRunner().invoke(app, ["memory", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output
