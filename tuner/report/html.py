"""Write a comparison as one page that needs nothing else: no file, no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tuner.report.comparison import CAPTION, DOUBTFUL, NOTHING, UNFAIR, Comparison
from tuner.report.page import across_tables, page_blocks, run_tables
from tuner.report.wording import title

if TYPE_CHECKING:
    from jinja2 import Environment

    from tuner.report.plots import Picture


def render_html(comparison: Comparison, pictures: Mapping[str, Picture]) -> str:
    """Return the page. Equal comparisons and pictures give equal bytes."""
    environment = _environment()
    script = _source(environment, "report.js")
    page = environment.get_template("report.html.j2").render(
        comparison=comparison,
        metric=title(comparison.metric),
        blocks=list(page_blocks(comparison)),
        across=across_tables(comparison),
        notes=[note.text for note in comparison.notes if note.task is None],
        lists=run_tables(comparison),
        pictures=list(pictures.values()),
        caption=CAPTION,
        nothing=NOTHING,
        unfair=UNFAIR,
        doubtful=DOUBTFUL,
        script=script,
        # Of the page's own script, so that the browser runs no other, whatever a name holds.
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=_source(environment, "report.css"),
    )
    return f"{page.rstrip()}\n"


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("tuner.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]
