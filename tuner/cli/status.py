"""`tuner status`: list the studies of a store, and how far they have come."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from trainers.errors import ConfigError
from tuner.cli.options import DEFAULT_STORE, FilesDir, StoreAddress, Tracking

if TYPE_CHECKING:
    from tuner.report import Standing

EXAMPLE = "tuner status --store mlruns"
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def command(
    store: StoreAddress = DEFAULT_STORE,
    files: FilesDir = None,
    tracking: Tracking = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all numbers as JSON.")] = False,
) -> None:
    """List the studies of a store: state, runs done of planned, best arm, time of the last run."""
    from rich.console import Console
    from rich.table import Table

    from tuner.cli.report import open_store
    from tuner.config import hide_password
    from tuner.report import find_study, standing_of

    reader, shown = open_store(store, files, tracking)
    asked = [find_study(name, reader, store=shown) for name in reader.studies()]
    if not asked:
        place = hide_password(shown) if isinstance(shown, str) else shown.shown
        raise ConfigError(f"--store {place}: no studies here yet; run one with `tuner run-study`")
    found = [standing_of(one, reader) for one in asked]
    found.sort(key=lambda one: one.last or 0.0, reverse=True)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(one) for one in found], indent=2))
        return
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("study", "state", "runs", "best", "last run"):
        table.add_column(name, justify="right" if name == "runs" else "left", no_wrap=True)
    table.columns[0].no_wrap, table.columns[0].overflow = False, "fold"
    table.columns[3].no_wrap, table.columns[3].overflow = False, "fold"
    for one in found:
        runs = f"{one.done} of {one.planned}"
        table.add_row(_plain(one.study), one.state, runs, _plain(_best(one)), _age(one.last))
    Console().print(table)


def _best(one: Standing) -> str:
    """Return the best arm with its score; of several tasks or models, where arms are best."""
    from tuner.report import title, value_text

    if not one.best:
        return "-"
    if len(one.best) == 1:
        (best,) = one.best
        split = "" if best.split == "test" else " (validation)"
        return f"{best.arm} {value_text(best.score, one.metric)} {title(one.metric)}{split}"
    arms = [best.arm for best in one.best]
    counts = {arm: arms.count(arm) for arm in sorted(arms, key=arms.count, reverse=True)}
    return ", ".join(f"{arm} in {count} of {len(arms)}" for arm, count in counts.items())


def _age(last: float | None) -> str:
    if last is None:
        return "none"
    seconds = max(0, int(time.time() - last))
    size, unit = next((one for one in _UNITS if seconds >= one[0]), _UNITS[-1])
    return f"{seconds // size} {unit} ago"


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
