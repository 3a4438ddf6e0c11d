"""Write metrics and numbers as text: points, bytes, seconds, p. No markup."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from typing import Any

NONE = "-"
"""Shown in place of a missing number."""
MANY = "> 1,000"
"""Shown in place of more seeds than anybody trains."""
UNSEEN = "unseen/"
"""Begins the name of a test metric over the rows that train does not have."""
LEAST_FOR_INTERVAL = 4
"""Seeds from which on a mean has an interval; below, its scores are shown instead."""
LEAST_TRIALS = 8
"""Finished trials from which on something is said of an arm's search budget."""
_LOSS_DIGITS = 4
_TITLES = {"macro_f1": "macro-F1", "micro_f1": "micro-F1"}


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


def missing(value: Any) -> bool:
    """Return whether a table's cell is empty."""
    import pandas

    return value is None or value is pandas.NA or (isinstance(value, float) and math.isnan(value))


def is_loss(metric: str) -> bool:
    """Return whether a metric is a loss, in nats; a class may be named loss."""
    return metric.endswith("loss") and "f1/" not in metric


def value_text(value: Any, metric: str, *, signed: bool = False) -> str:
    """Return a score in points (x 100), a loss in nats."""
    if missing(value):
        return NONE
    factor, digits = (1, _LOSS_DIGITS) if is_loss(metric) else (100, 2)
    return f"{factor * value:+.{digits}f}" if signed else f"{factor * value:.{digits}f}"


def score_text(row: Mapping[Any, Any]) -> str:
    """Return mean ± standard deviation of a row of `cells`."""
    shown = value_text(row["mean"], row["metric"])
    spread = value_text(row["std"], row["metric"])
    return shown if spread == NONE else f"{shown} ± {spread}"


def interval_text(low: Any, high: Any, metric: str, *, signed: bool = False) -> str:
    """Return an interval such as `[49.30, 70.10]`."""
    if missing(low) or missing(high):
        return NONE
    ends = (value_text(end, metric, signed=signed) for end in (low, high))
    return f"[{', '.join(ends)}]"


def mean_detail(row: Mapping[Any, Any]) -> str:
    """Return the interval of the mean of a row of `cells`; below four seeds, its scores."""
    ends = interval_text(row["ci_low"], row["ci_high"], row["metric"])
    if ends != NONE or not 1 < row["n"] < LEAST_FOR_INTERVAL:
        return "" if ends == NONE else ends
    middle = () if row["n"] == 2 else ("median",)
    scores = (value_text(row[name], row["metric"]) for name in ("min", *middle, "max"))
    return ", ".join(scores)


def p_text(p: Any) -> str:
    """Return p to three significant digits, such as `.0625`; a p below .001 as `< .001`."""
    if missing(p):
        return NONE
    return "< .001" if p < 0.001 else f"{p:.3g}".removeprefix("0")


def share_text(share: Any) -> str:
    """Return a probability such as `.80`."""
    return NONE if missing(share) else _share(share, 2)


def number_text(value: Any, digits: int = 2) -> str:
    """Return a number to a number of digits."""
    return NONE if missing(value) else f"{value:.{digits}f}"


def as_number(text: Any) -> float | None:
    """Return the number that a text writes; None where it is none."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def as_value(text: str) -> Any:
    """Return the value that a param's text stands for; a text that stands for none as it is."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def short_number(text: str) -> str:
    """Return a param's number to two significant digits; any other text as it is."""
    value = as_number(text)
    return text if value is None or value.is_integer() else f"{value:.2g}"


def count_text(count: Any) -> str:
    """Return a count."""
    return NONE if missing(count) else str(int(count))


def seeds_text(row: Mapping[Any, Any]) -> str:
    """Return the range of seeds of a row of `pairs` that its nearest verdict needs."""
    if missing(row["seeds_low"]):
        return NONE
    high = row["seeds_high"]
    return f"{row['seeds_low']} to {MANY if missing(high) else high}"


def verdict_text(row: Mapping[Any, Any]) -> str:
    """Return the verdict of a row of `pairs` with the margin as a number; where open, the ends."""
    verdict = str(row["verdict"])
    if verdict != "open":
        points = f"{100 * row['margin']:.3g} point{'s' * (row['margin'] != 0.01)}"
        return verdict.replace("the margin", points)
    ends = (value_text(row[end], row["metric"], signed=True) for end in ("ci_low", "ci_high"))
    return "open" if missing(row["ci_low"]) else f"open: between {' and '.join(ends)}"


def percent_text(share: Any) -> str:
    """Return a share in whole percent."""
    return NONE if missing(share) else f"{round(100 * share) + 0:.0f}%"


def parameters_text(count: Any) -> str:
    """Return a count of parameters, from 5,000 on in millions, such as `0.30 M`."""
    if missing(count):
        return NONE
    return f"{count / 1e6:.2f} M" if count >= 5_000 else str(int(count))


def bytes_text(count: Any) -> str:
    """Return a number of bytes in MiB, from 1 GiB on in GiB."""
    if missing(count):
        return NONE
    gibibytes = count / 2**30
    return f"{gibibytes:.2f} GiB" if gibibytes >= 1 else f"{count / 2**20:.0f} MiB"


def seconds_text(seconds: Any) -> str:
    """Return seconds to a tenth."""
    return NONE if missing(seconds) else f"{seconds:.1f}"


def unit_of(metric: str) -> str:
    """Return the unit that a metric is shown in."""
    return "nats" if is_loss(metric) else "points"


def listed(names: Sequence[str]) -> str:
    """Return names in a row, such as `lora, ia3 and bitfit`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it must be."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _share(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.removeprefix("0") if text.startswith("0") else text
