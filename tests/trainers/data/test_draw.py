"""Draws take what their rule says, in an order that the seed alone decides."""

from __future__ import annotations

from collections import Counter

import numpy
import pytest

from trainers.data.draw import FewShot, carve, draw_few_shot, shuffled, take_evenly
from trainers.errors import DataError
from trainers.interfaces import Example

LABELS = ("a", "b", "c")


def rows(**counts: int) -> tuple[Example, ...]:
    """Make rows, so many of each class."""
    return tuple(
        Example(id=f"{label}{n}", text=f"{label} {n}", pair=None, label=label)
        for label, count in counts.items()
        for n in range(count)
    )


def classes(taken: tuple[Example, ...]) -> dict[str, int]:
    """Count rows by class."""
    return dict(Counter(row.label for row in taken))


def test_first_takes_the_head_of_numpys_permutation() -> None:
    """The rule `first` is the paper's code: shuffle, take the first rows."""
    whole = rows(a=30, b=20, c=10)
    order = numpy.random.default_rng(5).permutation(60)
    cut = draw_few_shot(whole, LABELS, FewShot(rule="first", count=10), 5)
    assert cut.taken == tuple(whole[i] for i in order[:10])
    assert cut.rest == tuple(whole[i] for i in order[10:])


def test_per_class_takes_the_same_number_of_each() -> None:
    """The rule `per_class` counts rows of each class."""
    cut = draw_few_shot(rows(a=30, b=20, c=10), LABELS, FewShot(rule="per_class", count=4), 5)
    assert classes(cut.taken) == {"a": 4, "b": 4, "c": 4}


def test_balanced_spreads_the_count_over_the_classes() -> None:
    """The rule `balanced` counts all rows; what is left over goes to the first classes."""
    cut = draw_few_shot(rows(a=30, b=20, c=10), LABELS, FewShot(rule="balanced", count=8), 5)
    assert classes(cut.taken) == {"a": 3, "b": 3, "c": 2}


@pytest.mark.parametrize("rule", ["first", "per_class", "balanced"])
def test_a_draw_and_its_rest_are_the_whole(rule: str) -> None:
    """No row is lost or doubled."""
    whole = rows(a=30, b=20, c=10)
    cut = draw_few_shot(whole, LABELS, FewShot.model_validate({"rule": rule, "count": 6}), 5)
    assert sorted(row.id for row in cut.taken + cut.rest) == sorted(row.id for row in whole)


@pytest.mark.parametrize(
    ("rule", "count", "message"),
    [
        ("first", 61, "few_shot.count: got 61; allowed: up to train's 60 rows"),
        ("per_class", 11, "few_shot.count: needs 11 rows of class 'c', train has 10"),
        ("balanced", 36, "few_shot.count: needs 12 rows of class 'c', train has 10"),
    ],
)
def test_a_draw_beyond_the_rows_is_refused(rule: str, count: int, message: str) -> None:
    """Too few rows are an error, never a smaller draw."""
    few_shot = FewShot.model_validate({"rule": rule, "count": count})
    with pytest.raises(DataError, match=f"^{message}$"):
        draw_few_shot(rows(a=30, b=20, c=10), LABELS, few_shot, 5)


def test_carving_keeps_the_proportions() -> None:
    """A carved validation split has the classes in train's proportions."""
    assert classes(carve(rows(a=30, b=20, c=10), 6, 5).taken) == {"a": 3, "b": 2, "c": 1}


@pytest.mark.parametrize("count", range(1, 15))
def test_carving_is_exact_and_leaves_a_row_of_each_class(count: int) -> None:
    """Rare classes never vanish from train, and the size is as asked."""
    cut = carve(rows(a=14, b=2, c=1), count, 5)
    assert len(cut.taken) == count
    assert set(classes(cut.rest)) == {"a", "b", "c"}


def test_carving_the_last_row_of_a_class_is_refused() -> None:
    """The error says how many rows may be taken."""
    with pytest.raises(DataError, match="allowed: 1 to 14"):
        carve(rows(a=14, b=2, c=1), 15, 5)


def test_even_taking_fills_up_from_larger_classes() -> None:
    """A class that runs out is made up for by the others."""
    assert classes(take_evenly(rows(a=9, b=1, c=9), LABELS, 9).taken) == {"a": 4, "b": 1, "c": 4}


def test_another_seed_gives_another_order() -> None:
    """The seed matters, and is all that matters."""
    whole = rows(a=30)
    assert shuffled(whole, 1) == shuffled(whole, 1) != shuffled(whole, 2)
