"""`tuner ui`: open MLflow's own pages on a store."""

from __future__ import annotations

from typing import Annotated

import typer

from tuner.cli.interrupts import listen_to_termination
from tuner.cli.options import DEFAULT_STORE, FilesDir, StudyStore

EXAMPLE = "tuner ui --port 5001"


def command(
    store: StudyStore = DEFAULT_STORE,
    files: FilesDir = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open the MLflow UI on a store, at 127.0.0.1, until Ctrl-C."""
    from tuner.store import check_folder, find_store
    from tuner.tracking import serve_ui

    listen_to_termination()
    place = find_store(store, files).root
    check_folder(place)
    serve_ui(
        place,
        port,
        lambda page: typer.echo(f"MLflow UI: {page} (Ctrl-C ends it)"),
    )
