"""The arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainers.errors import ConfigError

STUDY_HELP = "A shipped study's name, or a YAML file's path."
StudyName = Annotated[str, typer.Argument(help=STUDY_HELP)]
StudyStore = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="TUNER_STORE",
        help="Folder for all results; or postgresql://user@host/database, which keeps the journal "
        "for launchers on several machines.",
    ),
]
FilesDir = Annotated[
    Path | None,
    typer.Option("--files", help="With PostgreSQL: folder of the files; default: mlruns."),
]
StoreAddress = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="TUNER_STORE",
        help="The store that the study was run with, or an MLflow server.",
    ),
]
Tracking = Annotated[
    str | None,
    typer.Option(
        envvar="TUNER_TRACKING",
        help="MLflow server to record runs at, such as http://host:5000; default: the store. "
        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD may hold its login.",
    ),
]


def _folder(context: typer.Context, value: Path | None) -> Path | None:
    """Refuse a data folder that is a file, or that the option names and that does not exist.

    TUNER_DATA_DIR may name one that does not exist yet; `fetch-data` makes it.
    """
    if value is None:
        return None
    source = context.get_parameter_source("data_dir")
    named = source is not None and source.name == "COMMANDLINE"
    option = "--data-dir" if named else "TUNER_DATA_DIR"
    if value.exists() and not value.is_dir():
        raise ConfigError(f"{option} {value}: a file; name the folder of the task files")
    if named and not value.exists() and context.info_name != "fetch-data":
        raise ConfigError(
            f"{option} {value}: no such folder; name one that is there, or leave the option out"
        )
    return value


DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="TUNER_DATA_DIR",
        callback=_folder,
        help="Folder of the task files. A study's relative paths are looked for beside its file, "
        "then there.",
    ),
]
DEFAULT_STORE = "mlruns"


def is_server(address: str) -> bool:
    """Return whether `--store` names an MLflow server."""
    return address.startswith(("http://", "https://"))
