"""Draw few-shot training rows and carve validation rows, by a seed alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Literal

from pydantic import Field

from trainers.errors import DataError
from trainers.interfaces import Example
from trainers.plugins import Written


class FewShot(Written):
    """A small training set, drawn from the whole one."""

    rule: Literal["first", "per_class", "balanced"] = "first"
    """first: shuffle, take `count`, so classes follow their frequency. per_class: `count` of each
    class. balanced: `count` in all, spread evenly over the classes."""
    count: int = Field(default=32, ge=1)
    """Rows drawn; with per_class, rows of each class."""


@dataclass(frozen=True)
class Cut:
    """Rows in two parts, each in shuffled order."""

    taken: tuple[Example, ...]
    rest: tuple[Example, ...]


def shuffled(rows: Sequence[Example], seed: int) -> tuple[Example, ...]:
    """Return the rows in the order of numpy's permutation for the seed."""
    import numpy

    return tuple(rows[i] for i in numpy.random.default_rng(seed).permutation(len(rows)))


def draw_few_shot(
    rows: Sequence[Example], labels: Sequence[str], few_shot: FewShot, seed: int
) -> Cut:
    """Draw the few-shot training rows.

    Raises:
        DataError: There are not enough rows, or not enough of a class.
    """
    order = shuffled(rows, seed)
    count = few_shot.count
    if few_shot.rule == "first":
        if count > len(order):
            raise DataError(
                f"few_shot.count: got {count}; allowed: up to train's {len(order)} rows"
            )
        return Cut(order[:count], order[count:])
    share, extra = (count, 0) if few_shot.rule == "per_class" else divmod(count, len(labels))
    quotas = {label: share + (place < extra) for place, label in enumerate(labels)}
    available = Counter(row.label for row in order)
    for label, quota in quotas.items():
        if quota > available[label]:
            raise DataError(
                f"few_shot.count: needs {quota} rows of class {label!r}, train has "
                f"{available[label]}"
            )
    return _cut(order, quotas)


def carve(rows: Sequence[Example], count: int, seed: int) -> Cut:
    """Take `count` validation rows in the classes' proportions; leave train a row of each.

    Raises:
        DataError: Train would lose all rows of a class.
    """
    order = shuffled(rows, seed)
    available = Counter(row.label for row in order)
    room = sum(n - 1 for n in available.values())
    if not 1 <= count <= room:
        raise DataError(
            f"validation_size: got {count} rows of {len(order)} training rows; "
            f"allowed: 1 to {room}, so that train keeps a row of each class"
        )
    return _cut(order, _proportional(available, count))


def take_evenly(rows: Sequence[Example], labels: Sequence[str], count: int) -> Cut:
    """Take the first `count` rows, as evenly over the classes as the rows allow.

    Raises:
        DataError: There are fewer rows.
    """
    check_enough(rows, count)
    available = Counter(row.label for row in rows)
    quotas: Counter[str] = Counter()
    for label in cycle(labels):
        if quotas.total() == count:
            break
        quotas[label] += quotas[label] < available[label]
    return _cut(rows, quotas)


def check_enough(rows: Sequence[Example], count: int) -> None:
    """Raise an error if a few-shot draw left fewer than `count` rows for validation."""
    if not 1 <= count <= len(rows):
        raise DataError(f"validation_size: got {count} rows; the few-shot draw leaves {len(rows)}")


def _proportional(available: Mapping[str, int], count: int) -> dict[str, int]:
    """Share `count` by largest remainder, never taking a class's last row."""
    total = sum(available.values())
    exact = {label: count * n / total for label, n in available.items()}
    quotas = {label: min(int(exact[label]), n - 1) for label, n in available.items()}
    left = count - sum(quotas.values())
    # Ties are broken by name, not by the order of the classes in a file.
    by_remainder = sorted(available, key=lambda label: (quotas[label] - exact[label], label))
    for label in cycle(by_remainder):
        if left == 0:
            break
        if quotas[label] < available[label] - 1:
            quotas[label] += 1
            left -= 1
    return quotas


def _cut(rows: Iterable[Example], quotas: Mapping[str, int]) -> Cut:
    """Take the first rows of each class up to its quota; both parts keep the order."""
    left = dict(quotas)
    taken: list[Example] = []
    rest: list[Example] = []
    for row in rows:
        wanted = left.get(row.label, 0)
        left[row.label] = wanted - 1
        (taken if wanted > 0 else rest).append(row)
    return Cut(tuple(taken), tuple(rest))
