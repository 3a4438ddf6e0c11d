"""The arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

STUDY_HELP = "A shipped study's name, or a YAML file's path."
StudyName = Annotated[str, typer.Argument(help=STUDY_HELP)]
StudyStore = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="TUNER_STORE",
        help="Folder of everything that is kept; or postgresql://user@host/database, which keeps "
        "trials and claims for launchers on several machines.",
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
        help="What the study was run with, or an MLflow server.",
    ),
]
Tracking = Annotated[
    str | None,
    typer.Option(
        envvar="TUNER_TRACKING",
        help="An MLflow server that runs are recorded at, such as http://host:5000; default: the "
        "store. MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD may hold its login.",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="TUNER_DATA_DIR",
        help="Folder of the task files. A study's relative paths are looked for beside its file, "
        "then there.",
    ),
]
DEFAULT_STORE = "mlruns"
