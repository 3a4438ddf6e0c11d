"""Promises of verdicts: one interval, from which each is read, and how often they err."""

from __future__ import annotations

import math

import numpy
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as some
from sklearn.metrics import accuracy_score, f1_score
from statsmodels.stats.weightstats import ttost_paired

from tuner.report import stats

MIRROR = {
    "better": "worse",
    "worse": "better",
    "not better": "not worse",
    "not worse": "not better",
}
DIFFERENCES = some.lists(some.integers(-40, 40), min_size=2, max_size=12)


def _mirrored(kind: str) -> str:
    for name, other in MIRROR.items():
        if kind in (name, f"{name} by more than the margin"):
            return kind.replace(name, other)
    return kind


@settings(deadline=None)  # the first example imports scipy
@given(DIFFERENCES, some.integers(0, 5), some.integers(1, 6))
def test_interval_and_verdict_never_contradict_each_other(
    values: list[int], margin: int, comparisons: int
) -> None:
    """Each verdict says where the interval lies; equivalence is statsmodels' TOST."""
    found = stats.judge(values, margin=margin, level=0.05 / comparisons)
    if numpy.std(values):
        reference = scipy.stats.ttest_1samp(values, 0.0)
        ends = reference.confidence_interval(1 - 0.05 / comparisons)
        assert [found.low, found.high] == pytest.approx([ends.low, ends.high], rel=1e-9, abs=1e-9)
    holds = {
        "better by more than the margin": found.low > margin > 0,
        "better": found.low > 0,
        "worse": found.high < 0,
        "worse by more than the margin": found.high < -margin < 0,
        "equivalent within the margin": margin > 0 and -margin < found.low <= found.high < margin,
        "not worse by more than the margin": margin > 0 and found.low > -margin,
        "not better by more than the margin": margin > 0 and found.high < margin,
        "open": found.low <= 0 <= found.high,
    }
    assert holds[found.kind]
    if found.kind == "open" and margin:
        assert found.low <= -margin
        assert found.high >= margin
    if margin and numpy.std(values):
        p = float(ttost_paired(numpy.array(values), numpy.zeros(len(values)), -margin, margin)[0])
        inside = p < 0.025 / comparisons
        assert inside == (-margin < found.low and found.high < margin)


@settings(deadline=None)
@given(DIFFERENCES, some.integers(0, 5))
def test_swapping_the_arms_mirrors_the_verdict(values: list[int], margin: int) -> None:
    """What is better becomes worse; equivalent and open stay."""
    one = stats.judge(values, margin=margin)
    two = stats.judge([-value for value in values], margin=margin)
    assert two.kind == _mirrored(one.kind)
    assert (two.low, two.high, two.mean) == (-one.high, -one.low, -one.mean)
    assert (two.ahead, two.behind) == (one.behind, one.ahead)


@pytest.mark.parametrize("kind", ["equivalent within", "not worse by more than"])
def test_a_collapse_that_was_seen_forbids_to_say_that_arms_are_alike(kind: str) -> None:
    """The runs that trained are alike; one that did not is a difference that may matter more."""
    values = [0.1, -0.1, 0.0, 0.2] if kind.startswith("equivalent") else [0.1, 2.9, 1.0, 1.2, -0.5]
    assert stats.judge(values, margin=1.0).kind == f"{kind} the margin"
    assert stats.judge(values, margin=1.0, collapsed=True).kind == "open"
    far = [5.0, 5.1, 4.9, 5.2]
    assert stats.judge(far, margin=1.0, collapsed=True).kind == "better by more than the margin"


def test_test_rows_widen_the_interval_as_welch_and_satterthwaite_have_it() -> None:
    """Half of the variance of the rows' own: the degrees of freedom grow by a factor of four."""
    values = [0.5, 1.5, 1.0, 2.0, 0.0]
    error = numpy.std(values, ddof=1) / math.sqrt(5)
    found = stats.judge(values, margin=1.0, row_error=float(error))
    half = scipy.stats.t.ppf(0.975, 4 * 4) * error * math.sqrt(2)
    assert [found.low, found.high] == pytest.approx([1.0 - half, 1.0 + half])
    without = stats.judge(values, margin=1.0)
    assert found.low < without.low
    assert math.isnan(without.row_error)


def test_the_exact_p_stands_from_six_pairs_on() -> None:
    """Below, no data could reach the level: the p would be read as evidence of equality."""
    assert math.isnan(stats.judge([1.0] * 5, margin=0.5).p)
    assert stats.judge([1.0] * 6, margin=0.5).p == 2 / 2**6


def test_seeds_are_a_range_and_none_below_five_pairs_or_where_test_rows_are_too_few() -> None:
    """The middle half of what could have given the data; rows do not become more with seeds."""
    rng = numpy.random.default_rng(3)
    values = rng.normal(0.4, 1.0, 5)
    assert stats.judge(values[:4], margin=0.05).needed is None
    needed = stats.judge(values, margin=0.05).needed
    assert needed is not None
    assert needed.low > 5
    assert needed.high is None or needed.high >= needed.low
    assert stats.judge(values, margin=0.05, row_error=2.0).needed is None


def test_seeds_that_are_promised_are_enough_about_as_often_as_said() -> None:
    """With the true spread at hand, 80% power is what a simulation finds."""
    rng = numpy.random.default_rng(0)
    sample = scipy.stats.zscore(rng.normal(0, 1, 2000), ddof=1) + 0.05
    needed = stats.judge(sample, margin=0.0).needed
    assert needed is None  # 2,000 pairs leave no more than 1,000 to add
    thirty = scipy.stats.zscore(rng.normal(0, 1, 30), ddof=1) + 0.3
    needed = stats.judge(thirty, margin=0.0).needed
    assert needed is not None
    assert needed.verdict == "better"
    shrunk = 0.3 * (1 - 3 / (4 * 29 - 1))
    middle = next(n for n in range(31, 999) if stats.paired_power(shrunk, n) >= 0.8)
    assert needed.low < middle
    assert needed.high is None or needed.high > middle


@pytest.mark.parametrize(("seen", "runs", "end"), [(0, 5, 0.45), (0, 10, 0.26), (0, 20, 0.14)])
def test_a_rate_of_collapse_has_an_upper_end(seen: int, runs: int, end: float) -> None:
    """None of five seen still allows almost every second."""
    assert stats.collapse_limit(seen, runs) == pytest.approx(end, abs=0.005)
    reference = scipy.stats.binomtest(seen, runs, alternative="less").proportion_ci(0.95, "exact")
    assert stats.collapse_limit(seen, runs) == pytest.approx(reference.high)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_the_error_over_rows_is_what_resampling_with_scikit_learn_finds(metric: str) -> None:
    """Rows are drawn anew, seeds are kept, both arms are scored on the same rows."""
    rng = numpy.random.default_rng(1)
    truth = rng.integers(0, 3, 200)
    arms = [
        [numpy.where(rng.random(200) < share, truth, rng.integers(0, 3, 200)) for _ in range(3)]
        for share in (0.8, 0.7)
    ]
    found = stats.difference_row_error(truth, *arms, classes=3, metric=metric)

    def score(rows: numpy.ndarray, guess: numpy.ndarray) -> float:
        if metric == "accuracy":
            return float(accuracy_score(truth[rows], guess[rows]))
        return float(f1_score(truth[rows], guess[rows], average="macro"))

    draws = [rng.integers(0, 200, 200) for _ in range(300)]
    pairs = list(zip(*arms, strict=True))
    means = [numpy.mean([score(r, a) - score(r, b) for a, b in pairs]) for r in draws]
    assert found == pytest.approx(numpy.std(means, ddof=1), rel=0.15)


def test_equal_predictions_have_no_error_over_rows() -> None:
    """What both arms get wrong cancels out."""
    truth = numpy.array([0, 1, 1, 0, 2])
    guess = [numpy.array([0, 1, 0, 0, 2])]
    for metric in ("accuracy", "macro_f1"):
        assert stats.difference_row_error(truth, guess, guess, classes=3, metric=metric) == 0.0


def test_what_cannot_be_judged_is_refused() -> None:
    """No difference, a negative margin, a metric without a rule."""
    with pytest.raises(ValueError, match="got 0 differences"):
        stats.judge([], margin=1.0)
    with pytest.raises(ValueError, match="margin -1"):
        stats.judge([1.0], margin=-1.0)
    one = [numpy.array([0])]
    with pytest.raises(ValueError, match="allowed: accuracy, micro_f1, macro_f1"):
        stats.difference_row_error(numpy.array([0]), one, one, classes=2, metric="loss")
