"""Promises of the noise of a test set."""

from __future__ import annotations

import math

import numpy
import pytest
from sklearn.metrics import confusion_matrix, f1_score

from tuner.report import stats

ROWS = 150
TRUTH = numpy.random.default_rng(1).choice(4, ROWS, p=[0.5, 0.3, 0.15, 0.05])
GUESS = numpy.where(
    numpy.random.default_rng(2).random(ROWS) < 0.7,
    TRUTH,
    numpy.random.default_rng(3).integers(0, 4, ROWS),
)
CONFUSION = confusion_matrix(TRUTH, GUESS)
RESAMPLES = 20_000
PLAIN = 400


def _resampled_by_rows(average: str | None, label: int | None, resamples: int) -> numpy.ndarray:
    """Bootstrap plainly: draw rows, score them with scikit-learn."""
    generator = numpy.random.default_rng(4)
    found = []
    for _ in range(resamples):
        rows = generator.integers(0, ROWS, ROWS)
        labels = None if average == "macro" else range(4)
        score = f1_score(TRUTH[rows], GUESS[rows], labels=labels, average=average, zero_division=0)
        found.append(score if label is None else score[label])
    return numpy.array(found)


def test_counts_agree_with_scikit_learn() -> None:
    """True class by row, predicted class by column, in the labels' order."""
    names = ["d", "a", "c", "b"]
    counts = stats.confusion_counts([names[k] for k in TRUTH], [names[k] for k in GUESS], names)
    assert (counts == CONFUSION).all()


def test_counts_refuse_what_is_no_label() -> None:
    """An unknown class is a fault, not a column."""
    with pytest.raises(ValueError, match="got 'x'"):
        stats.confusion_counts(["a"], ["x"], ["a", "b"])


@pytest.mark.parametrize(
    ("metric", "label", "average"),
    [("macro_f1", None, "macro"), ("micro_f1", None, "micro"), ("f1", 2, None), ("f1", 3, None)],
)
def test_noise_is_that_of_resampled_rows(
    metric: str, label: int | None, average: str | None
) -> None:
    """A plain bootstrap over rows, scored by scikit-learn, finds the same spread and ends."""
    plain = _resampled_by_rows(average, label, PLAIN)
    found = stats.bootstrap_noise(CONFUSION, metric, label=label, resamples=RESAMPLES, seed=1)
    # A standard deviation over m resamples has a relative error of about 1 / sqrt(2 m).
    assert found.std == pytest.approx(plain.std(ddof=1), rel=4 / math.sqrt(2 * PLAIN))
    for end, tail in ((found.low, 0.025), (found.high, 0.975)):
        assert (plain < end).mean() == pytest.approx(tail, abs=4 * math.sqrt(0.025 / PLAIN))


def test_the_noise_of_accuracy_is_binomial() -> None:
    """Its standard deviation is sqrt(p (1 - p) / n), its ends about those of Wilson."""
    right = int(numpy.trace(CONFUSION))
    found = stats.bootstrap_noise(CONFUSION, "accuracy", resamples=RESAMPLES, seed=1)
    expected = stats.binomial_std(right / ROWS, ROWS)
    assert expected == pytest.approx(math.sqrt(right * (ROWS - right) / ROWS) / ROWS)
    assert found.std == pytest.approx(expected, rel=4 / math.sqrt(2 * RESAMPLES))
    wilson = stats.binomial_interval(right, ROWS)
    assert [found.low, found.high] == pytest.approx([wilson.low, wilson.high], abs=0.012)


def test_wilsons_interval_solves_its_equation() -> None:
    """Its ends p satisfy |p' - p| = z sqrt(p (1 - p) / n); at 20 of 20 it is no point."""
    found = stats.binomial_interval(17, 20)
    for p in (found.low, found.high):
        assert abs(17 / 20 - p) == pytest.approx(1.959964 * math.sqrt(p * (1 - p) / 20), rel=1e-6)
    assert stats.binomial_interval(20, 20).low < 0.9


def test_an_absent_class_is_left_out_of_the_macro_mean() -> None:
    """A class that no row has and none is taken for is not counted, as in the tasks' metrics."""
    perfect = numpy.diag([50, 50, 0])
    found = stats.bootstrap_noise(perfect, "macro_f1", resamples=50, seed=1)
    assert (found.std, found.low, found.high) == pytest.approx((0, 1, 1))
    alone = stats.bootstrap_noise(perfect, "f1", label=2, resamples=50, seed=1)
    assert (alone.std, alone.high) == (0, 0)


def test_the_seed_decides_the_draws() -> None:
    """The same seed gives the same noise, another one other noise."""
    one, two, other = (
        stats.bootstrap_noise(CONFUSION, "macro_f1", seed=seed) for seed in (1, 1, 2)
    )
    assert one == two != other


def test_a_matrix_may_be_given_either_way_round() -> None:
    """F1 does not care which side is the truth."""
    one, other = (
        stats.bootstrap_noise(table, "macro_f1", seed=1) for table in (CONFUSION, CONFUSION.T)
    )
    assert one == other


@pytest.mark.parametrize(("metric", "label"), [("loss", None), ("f1", None), ("accuracy", 1)])
def test_what_is_no_metric_is_refused(metric: str, label: int | None) -> None:
    """F1 needs its class, and the others have none."""
    with pytest.raises(ValueError, match="metric: got"):
        stats.bootstrap_noise(CONFUSION, metric, label=label, seed=1)


def test_no_rows_are_refused() -> None:
    """An empty matrix has no noise."""
    with pytest.raises(ValueError, match="no rows"):
        stats.bootstrap_noise(numpy.zeros((3, 3)), "accuracy", seed=1)
