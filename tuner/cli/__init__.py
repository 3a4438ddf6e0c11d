"""The command line: `main` runs a command and turns its errors into one line and a code."""

from __future__ import annotations

import os
import sys

from trainers.errors import TunerError

_RUN_FAILED, _USER_ERROR, _INTERRUPTED = 1, 2, 130


def main() -> None:
    """Run the command line. Exit codes: 0 good, 1 some run failed, 2 the user's error."""
    from tuner.cli.app import app

    # MLflow reports its use home unless told not to; a study is nobody else's business.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    try:
        app()
    except TunerError as error:
        print(f"tuner: {error}", file=sys.stderr)
        sys.exit(_RUN_FAILED if type(error).__name__ == "TooManyFailures" else _USER_ERROR)
    except KeyboardInterrupt:
        print("tuner: interrupted; the same command goes on where it was", file=sys.stderr)
        sys.exit(_INTERRUPTED)
