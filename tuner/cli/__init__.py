"""The command line: `main` runs a command; an error becomes one line and an exit code."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from trainers.errors import TunerError, visible
from tuner.cli import interrupts

if TYPE_CHECKING:
    from typer import TyperException

_GOOD, _USER_ERROR = 0, 2
_INTERRUPTED = "tuner: interrupted; the same command continues where it stopped"
_ADDED = "tuner: interrupted; the same command without --seeds continues where it stopped"


def main() -> None:
    """Run the command line.

    Exit codes: 0 good, 1 some run failed, 2 an error of the user's, 130 ended by Ctrl-C.
    """
    interrupts.listen()
    gc.disable()  # loading makes next to no garbage; what lasts longer enables it again
    try:
        code = run_command()
    except BaseException:
        if not interrupts.came():
            raise
        code = interrupts.INTERRUPTED
    interrupts.expect_end()
    if code == interrupts.INTERRUPTED:
        with contextlib.suppress(OSError, ValueError):  # its reader may have ended as well
            added = any(word.startswith("--seeds") for word in sys.argv)
            print(_ADDED if added else _INTERRUPTED, file=sys.stderr)
        interrupts.end(code)
    gc.freeze()  # else Python visits every object twice while it ends
    sys.exit(code)


def run_command() -> int:
    """Run the command that `sys.argv` names; return its exit code, its errors printed."""
    from tuner.cli.titles import hide_title

    hide_title(sys.orig_argv)  # at once: what follows takes a while

    from typer import TyperException

    from trainers.proxies import bypass_own_addresses
    from tuner.cli.app import app
    from tuner.store import full_disk_named

    bypass_own_addresses(os.environ)
    # By default MLflow reports its use to its makers; a study is private.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        with full_disk_named(Path()):
            return int(app(standalone_mode=False) or _GOOD)
    except TyperException as error:
        # A bare `tuner` shows its help this way; the rest are invalid arguments.
        print(visible(_one_line(error.format_message() + _got(error))), file=sys.stderr)
        return _USER_ERROR
    except TunerError as error:
        for line in str(error).splitlines():  # a study may have several faults
            print(f"tuner: {line}", file=sys.stderr)
        return error.exit_code


def _got(error: TyperException) -> str:
    """Return the invalid value of an option, where the message does not have it."""
    from pydantic import ValidationError

    if not isinstance(error.__cause__, ValidationError):
        return ""
    value = repr(error.__cause__.errors(include_url=False)[0]["input"])
    return "" if value in error.format_message() else f", got {value}"


def _one_line(message: str) -> str:
    """Join a message about arguments into one line; leave a page of help as it is."""
    return message if message.count("\n") > 2 else f"tuner: {' '.join(message.split())}"
