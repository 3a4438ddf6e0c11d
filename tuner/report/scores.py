"""Know which scores a report is about, which way is better, and how they are written."""

from __future__ import annotations

_TITLES = {"macro_f1": "macro-F1", "micro_f1": "micro-F1"}
UNSEEN = "unseen/"
"""Begins the name of a test metric over the rows that train does not have."""


def main_scores(metric: str) -> tuple[str, ...]:
    """Return the test metrics of the main tables: the one compared by, accuracy, macro-F1."""
    return tuple(dict.fromkeys((metric, "accuracy", "macro_f1")))


def higher_is_better(metric: str) -> bool:
    """Return False for a loss."""
    return metric.removeprefix(UNSEEN) != "loss"


def title(metric: str) -> str:
    """Return a metric's name for people, such as `macro-F1` or `accuracy, unseen rows`."""
    name = metric.removeprefix(UNSEEN)
    shown = _TITLES.get(name, name)
    return shown if name == metric else f"{shown}, unseen rows"
