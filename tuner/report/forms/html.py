"""Write a report as one page that needs nothing else: no file, no network."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Literal

from tuner.report.comparison import DOUBTFUL, NOTHING, READ_FIRST, UNFAIR
from tuner.report.contracts import Report, ReportForm
from tuner.report.leaderboard import leaderboard
from tuner.report.wording import title

if TYPE_CHECKING:
    from jinja2 import Environment


class Html(ReportForm):
    """One page with pictures, notes and sortable tables, which needs no network."""

    kind: Literal["html"] = "html"
    """File name of the form."""

    def files(self, report: Report) -> dict[str, str]:
        """Return `report.html`. Equal reports give equal bytes."""
        environment, comparison = _environment(), report.comparison
        script = _source(environment, "report.js")
        page = environment.get_template("report.html.j2").render(
            comparison=comparison,
            metric=title(comparison.metric),
            views=report.views("page"),
            pictures=list(report.pictures.values()),
            leaderboards={place: leaderboard(comparison, *place) for place in comparison.places()},
            nothing=NOTHING,
            unfair=UNFAIR,
            doubtful=DOUBTFUL,
            read_first=READ_FIRST,
            answer=report.answer,
            script=script,
            # Of the page's own script, so that the browser runs no other, whatever a name holds.
            script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            style=_source(environment, "report.css"),
        )
        return {"report.html": f"{page.rstrip()}\n"}


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
