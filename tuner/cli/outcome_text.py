"""Print the outcome of a study: the comparison, its failures, and how to look further."""

from __future__ import annotations

from dataclasses import dataclass

import typer
from rich.console import Console

from tuner.cli.report import show
from tuner.config import Login, hide_password, split_login
from tuner.report import Report, keep_report, report_of_run
from tuner.store import STORE, Store, missing_space
from tuner.study import NO_TRACKING, StudyOutcome


@dataclass(frozen=True)
class Destination:
    """Where a study's runs are recorded, as its user named it."""

    store: Store
    tracking: str | None

    @property
    def server(self) -> str | None:
        """Address of the MLflow server; None: MLflow lies in the store, or there is none."""
        return None if self.tracking == NO_TRACKING else self.tracking

    def options(self) -> str:
        """Return the options that name it, for a command to type; a password is not repeated."""
        store, root = self.store, self.store.root
        named = "" if root == STORE else f" --store {root}"
        if store.shared is not None:
            files = "" if root == STORE else f" --files {root}"
            named = f" --store {hide_password(store.shared)}{files}"
        return f"{named} --tracking {self.login.address}" if self.server else named

    @property
    def login(self) -> Login:
        """The server's address and its login, apart from each other."""
        return split_login(self.server or "")


def show_outcome(
    console: Console, outcome: StudyOutcome, *, study: str, place: Destination, summary: str
) -> None:
    """Print what was done, the comparison, the failures, and how to look further.

    Args:
        console: Where to print.
        outcome: The outcome of the study.
        study: The study as its user named it.
        place: Where its runs are recorded.
        summary: A line on what was done.
    """
    name = outcome.cells[0].study.name
    report = report_of_run(outcome.cells, outcome.faults, store=place.store, tracking=place.server)
    if place.tracking != NO_TRACKING:
        _keep(report, place.store, place.tracking)
    page = _write_page(report, place.store, name)
    console.print(summary, markup=False, highlight=False)
    show(report, "terminal", console)
    for failure in outcome.failures:
        console.print(f"failed: {failure}", style="red", markup=False)
    for cell in outcome.unfinished:
        if cell not in outcome.faults:  # those are among the failures
            console.print(f"not finished: {cell}", style="yellow", markup=False)
    if outcome.out_of_time:
        said = f"The time was up for {len(outcome.late)} of the cells"
        command = f"`tuner run-study {study}` continues with what is left"
        console.print(f"{said}; {command}.", markup=False, soft_wrap=True)
    runs = place.login.address if place.server else f"tuner ui {name}{place.options()}"
    more = f"tuner run-study {study}{place.options()} --seeds +{report.answer.seeds}"
    further = {"to settle": more if report.answer.seeds and not outcome.unfinished else ""}
    further |= {"report": page, "runs": runs, "tables": f"tuner report {study}{place.options()}"}
    console.print()
    for what, where in further.items():
        if where:
            console.print(f"{what:9} {where}", markup=False, highlight=False, soft_wrap=True)
    if place.login.user:
        console.print(
            "with the login in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
            highlight=False,
        )


def _write_page(report: Report, store: Store, name: str) -> str:
    """Write the report's page into the store; return its path, "" where nothing can be written."""
    path = store.root / "reports" / f"{name}.html"
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text(report.text("html"), encoding="utf-8")
    except OSError as error:
        typer.echo(f"tuner: {path} is not written: {error.strerror}", err=True)
        return ""
    return str(path)


def _keep(report: Report, store: Store, tracking: str | None) -> None:
    """Keep a report in MLflow; where nothing can be written, warn: it is shown all the same."""
    try:
        keep_report(report, store=store, tracking=tracking)
    except Exception as error:
        reason = missing_space(error)
        if reason is None and isinstance(error, OSError):
            reason = error.strerror
        if reason is None:
            raise
        typer.echo(f"tuner: the report is not kept in {store.shown}: {reason}", err=True)
