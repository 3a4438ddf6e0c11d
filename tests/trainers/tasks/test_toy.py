"""The generated task is what it says: balanced, learnable and always the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from trainers.tasks.toy import Toy


def test_classes_are_equally_frequent() -> None:
    """The majority class gives no head start."""
    counts = Counter(row.label for row in Toy(rows=60, classes=4).read(Path()).train)
    assert set(counts.values()) == {15}


@pytest.mark.parametrize("pair", [False, True])
def test_a_row_has_words_of_its_own_class_only(pair: bool) -> None:
    """The words that never occur outside one class decide every row, so 1.0 can be reached."""
    train = Toy(rows=200, pair=pair).read(Path()).train
    classes_of: dict[str, set[str]] = {}
    for row in train:
        for word in f"{row.text} {row.pair or ''}".split():
            classes_of.setdefault(word, set()).add(row.label)
    for row in train:
        words = f"{row.text} {row.pair or ''}".split()
        deciding = [classes_of[word] for word in words if len(classes_of[word]) == 1]
        assert deciding
        assert all(classes == {row.label} for classes in deciding)


def test_pairs_are_pairs_in_either_order() -> None:
    """A model that reads the first text alone is wrong on about half of the rows."""
    train = Toy(rows=200, pair=True).read(Path()).train
    marked_first = sum("cat" in row.text or "dog" in row.text for row in train)
    marked_second = sum("cat" in (row.pair or "") or "dog" in (row.pair or "") for row in train)
    assert marked_first > 10
    assert marked_second > 10


def test_its_seed_alone_decides_the_texts() -> None:
    """Same seed, same rows; another seed, others."""
    assert Toy().read(Path()) == Toy().read(Path("elsewhere"))
    assert Toy().read(Path()) != Toy(seed=1).read(Path())


@pytest.mark.parametrize("settings", [{"rows": 4}, {"classes": 1}, {"classes": 99}])
def test_sizes_without_sense_are_refused(settings: dict[str, int]) -> None:
    """Bounds are checked when the study is read."""
    with pytest.raises(ValidationError):
        Toy.model_validate(settings)
