"""The command line: `main` runs a command and turns its errors into one line and a code."""

from __future__ import annotations

import os
import sys

from trainers.errors import TunerError

_USER_ERROR, _INTERRUPTED = 2, 130


def main() -> None:
    """Run the command line. Exit codes: 0 good, 1 some run failed, 2 the user's error."""
    from typer import TyperException

    from tuner.cli.command_memory import app
    from tuner.cli.titles import hide_title

    hide_title(sys.orig_argv)

    # MLflow reports its use home unless told not to; a study is nobody else's business.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        code = app(standalone_mode=False)  # 130 after Ctrl-C
    except TyperException as error:
        # A bare `tuner` shows its help this way; the rest are arguments that cannot be.
        print(_one_line(error.format_message()), file=sys.stderr)
        code = _USER_ERROR
    except TunerError as error:
        print(f"tuner: {error}", file=sys.stderr)
        code = error.exit_code
    if code == _INTERRUPTED:
        print("tuner: interrupted; the same command goes on where it was", file=sys.stderr)
    sys.exit(code)


def _one_line(message: str) -> str:
    """Put a fault of the arguments in one line; a help page, which has many, stays."""
    return message if message.count("\n") > 2 else f"tuner: {' '.join(message.split())}"
