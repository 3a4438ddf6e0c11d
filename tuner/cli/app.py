"""The commands of the command line, each found by its file's name."""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import Annotated

import typer

COMMANDS = (
    *("run_study", "status", "report", "ui", "list", "validate", "plan", "memory", "fetch_data"),
)
"""Files of the commands, in the order of `tuner --help`. Each has a function `command`, whose
parameters are the options and whose docstring is the help, and an `EXAMPLE`."""

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    help="Compare full fine-tuning with adapters: equal search budgets, fresh seeds, MLflow.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tuner {version('tuner-studies')}")
        raise typer.Exit


@app.callback()
def options(
    show: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


for _name in COMMANDS:
    _file = importlib.import_module(f"tuner.cli.{_name}")
    app.command(_name.replace("_", "-"), epilog=f"Example: {_file.EXAMPLE}")(_file.command)
