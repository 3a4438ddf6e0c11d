"""Turn a matplotlib figure into an SVG that fits into any page, and into a PNG."""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FONT = "DejaVu Sans"
"""Comes with matplotlib, so that texts are measured alike everywhere."""

_PAGE_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_INK, _DARK = "#010203", "#1a1a1a"
_DOTS_PER_INCH = 200

_ROOT = re.compile(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>')
_PREAMBLE = re.compile(r"\A.*?(?=<svg )", re.DOTALL)
_STYLE = re.compile(r"<defs>\s*<style[^>]*>[^<]*</style>\s*</defs>\s*")
_TAG = re.compile(r"<[a-zA-Z][^<>]*>")
_REFERENCE = re.compile(r'(\bid="|href="#|url\(#)')


@dataclass(frozen=True)
class Picture:
    """A finished picture. The same comparison gives the same bytes."""

    name: str
    title: str
    caption: str
    """One or two sentences that describe it and define its terms; its alternative text too."""
    task: str | None
    """Task and model that it is about; None: the whole comparison."""
    model: str | None
    svg: str
    """An `svg` element, for a file or for a page, whose text colour and fonts it takes.
    Its ids begin with its name, so that a page can hold several."""
    _paint: Callable[[], Figure] = field(repr=False, compare=False)

    @cached_property
    def png(self) -> bytes:
        """Dark on white, 200 dots an inch; drawn when first asked for."""
        return _png(self._paint)


@dataclass(frozen=True)
class Sketch:
    """A picture that is not drawn yet: its words, and the function that draws it."""

    title: str
    caption: str
    paint: Callable[[], Figure]
    """Makes the figure, in the colours that matplotlib is set to when called."""
    task: str | None = None
    model: str | None = None

    def finish(self, name: str) -> Picture:
        """Draw the SVG."""
        svg = _svg(self.paint, name, self.caption)
        return Picture(name, self.title, self.caption, self.task, self.model, svg, self.paint)


def _svg(paint: Callable[[], Figure], name: str, caption: str) -> str:
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    stream = io.StringIO()
    with _settings(_INK, "none"):
        paint().savefig(stream, format="svg", metadata=nothing)
    text = _STYLE.sub("", _PREAMBLE.sub("", stream.getvalue()), count=1)
    text = _TAG.sub(lambda tag: _adapted(tag.group(), name), text)
    return _ROOT.sub(lambda found: _root(found.group(1), name, caption), text, count=1)


def _adapted(tag: str, name: str) -> str:
    """Make a tag fit for a page: ids of its own, the page's colour and fonts."""
    tag = _REFERENCE.sub(lambda found: f"{found.group()}{name}-", tag)
    return tag.replace(_INK, "currentColor").replace(f"'{_FONT}'", _PAGE_FONTS)


def _root(view_box: str, name: str, caption: str) -> str:
    width, height = view_box.split()[2:]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'id="{name}" width="{width}pt" height="{height}pt" viewBox="{view_box}" role="img" '
        f'aria-label="{html.escape(caption)}" stroke-linejoin="round">'
    )


def _png(paint: Callable[[], Figure]) -> bytes:
    stream = io.BytesIO()
    with _settings(_DARK, "white"):
        paint().savefig(stream, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return stream.getvalue()


@contextmanager
def _settings(ink: str, paper: str) -> Iterator[None]:
    """Set matplotlib for one picture, whatever the user's own settings are."""
    import matplotlib

    settings: Any = dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), ink
    )
    settings |= dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), paper)
    settings |= {
        "axes.axisbelow": True,
        "axes.linewidth": 0.6,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "font.family": [_FONT],
        "font.size": 9.0,
        "legend.frameon": False,
        "path.simplify": True,
        "svg.fonttype": "none",
        "svg.hashsalt": "tuner",
        # A name may hold a dollar sign.
        "text.parse_math": False,
    }
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        # A page has the glyphs that DejaVu lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield
