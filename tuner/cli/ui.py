"""`tuner ui`: open MLflow's own pages on a store, or on a study in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tuner.cli.interrupts import listen_to_termination
from tuner.cli.options import DEFAULT_STORE, FilesDir, StudyStore

if TYPE_CHECKING:
    from tuner.store import Store

EXAMPLE = "tuner ui quickstart --port 5001"


def command(
    study: Annotated[
        str | None,
        typer.Argument(help="A study of the store; may be left out where there is only one."),
    ] = None,
    store: StudyStore = DEFAULT_STORE,
    files: FilesDir = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Serve MLflow at 127.0.0.1 until Ctrl-C; print the pages of a study's arms and losses."""
    from tuner.store import check_folder, find_store
    from tuner.tracking import serve_ui

    listen_to_termination()
    place = find_store(store, files)
    check_folder(place.root)
    name = _name(study, place)
    serve_ui(place.root, port, typer.echo, study=name)


def _name(study: str | None, place: Store) -> str:
    """Return the name of the study to open; "" where several are there and none is named.

    Raises:
        ConfigError: The store has none of this name.
    """
    from tuner.config import is_study_file, load_study
    from tuner.store import UnknownStudy, open_journal_reader

    held = open_journal_reader(place).studies()
    if study is None:
        return held[0] if len(held) == 1 else ""
    name = load_study(study).name if is_study_file(study) else study
    if name not in held:
        raise UnknownStudy(name, held)
    return name
