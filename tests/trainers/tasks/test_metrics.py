"""Metrics mean what they do in the field."""

from __future__ import annotations

import numpy
import pytest

from trainers.tasks.metrics import metric_names, score

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


def test_a_class_absent_from_truth_and_predictions_counts_as_zero() -> None:
    """The macro mean is over all classes of the task, so that runs are comparable."""
    scores = score(LABELS, [0, 1], [0, 1])
    assert scores["macro_f1"] == pytest.approx(2 / 3)
    assert scores["micro_f1"] == 1.0


def test_the_names_are_known_beforehand() -> None:
    """A study can check its metric before any data is read."""
    assert list(score(LABELS, [0], [0])) == list(metric_names(LABELS))


def test_arrays_are_as_good_as_lists() -> None:
    """The trainer hands over numpy arrays, and gets plain floats back."""
    truth, predictions = numpy.array([0, 1, 2, 2]), numpy.array([0, 1, 1, 2])
    scores = score(LABELS, truth, predictions)
    assert scores == score(LABELS, truth.tolist(), predictions.tolist())
    assert {type(value) for value in scores.values()} == {float}
