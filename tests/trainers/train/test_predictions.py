"""Metrics mean what they do in the field."""

from __future__ import annotations

import numpy
import pytest
from sklearn.metrics import f1_score

from trainers.train.predictions import metric_names, score

LABELS = ("a", "b", "c")


def test_scores_equal_a_count_by_hand() -> None:
    """Precision and recall of a: 2/3 and 1, of b: 1/2 and 1/2, of c: 0 and 0."""
    scores = score(LABELS, [0, 0, 1, 1, 2], [0, 0, 1, 0, 1])
    assert scores == {
        "accuracy": pytest.approx(0.6),
        "macro_f1": pytest.approx((0.8 + 0.5 + 0) / 3),
        "micro_f1": pytest.approx(0.6),
        "f1/a": pytest.approx(0.8),
        "f1/b": pytest.approx(0.5),
        "f1/c": 0.0,
    }


def test_a_class_that_is_neither_present_nor_predicted_is_left_out_of_the_macro_mean() -> None:
    """Perfect predictions score 1, however many classes of train the split lacks."""
    scores = score(LABELS, [0, 1], [0, 1])
    assert scores["macro_f1"] == scores["micro_f1"] == 1.0
    assert scores["f1/c"] == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_the_macro_mean_is_scikit_learns_to_the_last_digit(seed: int) -> None:
    """Whatever classes a split lacks and a model names, the mean is that of f1_score."""
    generator = numpy.random.default_rng(seed)
    labels = [f"class {number}" for number in range(8)]
    truth, predictions = generator.integers(0, [[3 + seed % 6], [8 - seed % 6]], (2, 25))
    expected = f1_score(truth, predictions, average="macro", zero_division=0)
    assert score(labels, truth, predictions)["macro_f1"] == expected


def test_the_names_are_known_beforehand() -> None:
    """A study can check its metric before any data is read."""
    assert list(score(LABELS, [0], [0])) == list(metric_names(LABELS))


def test_arrays_are_as_good_as_lists() -> None:
    """The trainer hands over numpy arrays, and gets plain floats back."""
    truth, predictions = numpy.array([0, 1, 2, 2]), numpy.array([0, 1, 1, 2])
    scores = score(LABELS, truth, predictions)
    assert scores == score(LABELS, truth.tolist(), predictions.tolist())
    assert {type(value) for value in scores.values()} == {float}
