"""Promises of the summary and of the intervals of the mean."""

from __future__ import annotations

import math
from itertools import permutations

import numpy
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as some

from tuner.report import stats

SCORES = [0.8125, 0.7731, 0.8012, 0.7999, 0.8077]
ANY_SCORES = some.lists(some.floats(0, 1), min_size=2, max_size=12)


def test_a_summary_agrees_with_numpy_and_scipy() -> None:
    """Every number of a summary is what other routines find."""
    summary = stats.summarise(SCORES)
    mean, std = numpy.mean(SCORES), numpy.std(SCORES, ddof=1)
    interval = scipy.stats.t.interval(0.95, df=4, loc=mean, scale=std / math.sqrt(5))
    assert summary.n == 5
    assert [summary.mean, summary.std] == pytest.approx([mean, std], rel=1e-12)
    assert [summary.ci_low, summary.ci_high] == pytest.approx(interval, rel=1e-12)
    assert [summary.median, summary.minimum, summary.maximum] == [0.8012, 0.7731, 0.8125]


@settings(deadline=None)  # the first example imports scipy
@given(ANY_SCORES, some.randoms(use_true_random=False))
def test_the_order_of_values_changes_no_bit(values: list[float], random: object) -> None:
    """Whatever order the seeds are read in, the summary has the same bits."""
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis gives a Random
    assert repr(stats.summarise(shuffled)) == repr(stats.summarise(values))


def test_a_plain_sum_would_depend_on_the_order() -> None:
    """The promise above is not empty: added one by one, these values' mean moves with order."""
    values = (0.1, 0.2, 0.3, 0.7)
    assert len({sum(order) / 4 for order in permutations(values)}) > 1
    assert len({stats.summarise(order) for order in permutations(values)}) == 1


def test_what_few_values_do_not_allow_is_missing() -> None:
    """One value has no spread and no interval; none has nothing."""
    one, none = stats.summarise([0.5]), stats.summarise([])
    assert (one.mean, one.median, one.minimum, one.maximum) == (0.5, 0.5, 0.5, 0.5)
    assert all(map(math.isnan, (one.std, one.ci_low, one.ci_high)))
    assert none.n == 0
    assert all(map(math.isnan, (none.mean, none.std, none.median, none.minimum, none.ci_low)))


def test_equal_values_have_no_spread() -> None:
    """The standard deviation of equal values is 0 though their mean may be rounded."""
    summary = stats.summarise([0.1] * 3)
    assert (summary.std, summary.minimum, summary.maximum) == (0.0, 0.1, 0.1)


def test_the_interval_shown_is_the_t_interval() -> None:
    """The row-wise candidate and the interval of the report are one formula."""
    shown = stats.mean_interval(SCORES, 0.9)
    rows = stats.t_interval([SCORES, SCORES[::-1]], confidence=0.9)
    assert rows.low == pytest.approx([shown.low] * 2, rel=1e-12)
    assert rows.high == pytest.approx([shown.high] * 2, rel=1e-12)


def test_the_percentile_interval_has_the_quantiles_of_all_resamples() -> None:
    """With many resamples its ends are those of the full enumeration of 5^5 resamples."""
    every = numpy.stack(numpy.meshgrid(*[SCORES] * 5), axis=-1).reshape(-1, 5).mean(axis=1)
    found = stats.percentile_interval(
        [SCORES], generator=numpy.random.default_rng(1), resamples=40_000
    )
    error = 4 * math.sqrt(0.025 * 0.975 / 40_000)
    for end, tail in ((found.low[0], 0.025), (found.high[0], 0.975)):
        assert (every < end - 1e-9).mean() - error <= tail <= (every < end + 1e-9).mean() + error


def test_bca_moves_both_ends_towards_the_long_tail() -> None:
    """On scores with a tail below, BCa lies lower than the percentile interval."""
    scores = [[0.99, 0.985, 0.98, 0.975, 0.97, 0.7]]
    bca = stats.bca_interval(scores, generator=numpy.random.default_rng(1))
    plain = stats.percentile_interval(scores, generator=numpy.random.default_rng(1))
    assert bca.low[0] < plain.low[0]
    assert bca.high[0] < plain.high[0]


def test_bca_of_equal_values_is_missing_and_silent() -> None:
    """A row without spread has no BCa interval, and does not spoil those beside it."""
    found = stats.bca_interval([[0.5] * 5, SCORES], generator=numpy.random.default_rng(1))
    assert numpy.isnan(found.low).tolist() == [True, False]


def test_the_logit_interval_stays_between_0_and_1() -> None:
    """Where t leaves the scale, the interval on the logit scale does not."""
    scores = [[0.999, 0.998, 0.999, 0.9]]
    assert stats.t_interval(scores).high[0] > 1
    assert 0 < stats.logit_t_interval(scores).low[0] < stats.logit_t_interval(scores).high[0] < 1


def test_the_logit_interval_refuses_the_ends() -> None:
    """The logit of 1 is infinite."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        stats.logit_t_interval([[0.5, 1.0]])
