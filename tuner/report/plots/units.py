"""Scale scores to the units of a picture, and shorten names that are too long to draw."""

from __future__ import annotations

from tuner.report.wording import higher_is_better, title

_LONGEST_NAME = 26


def scale(metric: str) -> float:
    """Return the factor of raw values: 100 (points) for a score, 1 (nats) for a loss."""
    return 100.0 if higher_is_better(metric) else 1.0


def axis_title(split: str, metric: str) -> str:
    """Return an axis' title with its unit, such as `test macro-F1 (points)`."""
    unit = "points" if higher_is_better(metric) else "nats"
    return f"{split} {title(metric)} ({unit})"


def short(name: str, longest: int = _LONGEST_NAME) -> str:
    """Return a name on one line, cut where it is too long to draw."""
    plain = "".join(mark if mark.isprintable() else " " for mark in name)
    plain = " ".join(plain.split())
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"
