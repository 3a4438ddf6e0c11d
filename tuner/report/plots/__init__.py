"""Pictures of a comparison, as SVG for pages and as PNG for papers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tuner.report.plots.confusion_matrices import sketch_confusion
from tuner.report.plots.expected_score import sketch_budget
from tuner.report.plots.forest import sketch_forest
from tuner.report.plots.learning_curves import sketch_curves
from tuner.report.plots.picture import Picture, Sketch
from tuner.report.plots.rank_diagram import sketch_ranks
from tuner.report.plots.score_and_memory import sketch_tradeoff
from tuner.report.plots.seeds import sketch_seeds
from tuner.report.plots.slices import sketch_slices
from tuner.report.plots.subject import Subject, arm_looks

if TYPE_CHECKING:
    from tuner.report.comparison import Comparison

__all__ = ["Picture", "draw"]


def draw(comparison: Comparison) -> dict[str, Picture]:
    """Draw a comparison's pictures; a picture without data is left out.

    Returns:
        The pictures by name, in the order of a page. A name is made of lower-case letters,
        digits and hyphens, so that it can name a file. The SVGs are drawn, a PNG when asked for.
    """
    pictures: dict[str, Picture] = {}
    for kind, sketch in _sketches(comparison):
        places = (part for part in (sketch.task, sketch.model) if part is not None)
        name = _free_name("-".join([kind, *map(_slug, places)]), pictures)
        pictures[name] = sketch.finish(name)
    return pictures


def _sketches(comparison: Comparison) -> Iterator[tuple[str, Sketch]]:
    looks = arm_looks(comparison)
    for task, model in comparison.places():
        subject = Subject(comparison, task, model, looks)
        for kind, sketch in (
            ("differences", sketch_forest(subject)),
            ("seeds", sketch_seeds(subject)),
            ("classes", sketch_confusion(subject)),
            ("search", sketch_slices(subject)),
            ("tradeoff", sketch_tradeoff(subject)),
            ("curves", sketch_curves(subject)),
            ("budget", sketch_budget(subject)),
        ):
            if sketch is not None:
                yield kind, sketch
    for sketch in sketch_ranks(comparison, looks):
        yield "ranks", sketch


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "x"


def _free_name(name: str, taken: dict[str, Picture]) -> str:
    """Number a name that two places share, such as those of `a b` and `a-b`."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    return found
