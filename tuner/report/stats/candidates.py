"""Intervals of the mean that were tried and not chosen; bench/coverage.py tables them."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy

from tuner.report.stats.arrays import Values, floats
from tuner.report.stats.interval import Intervals, t_interval


def percentile_interval(
    scores: Values,
    *,
    generator: numpy.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Intervals:
    """Return the percentile bootstrap interval of the mean of each row.

    Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

    Args:
        scores: Of shape (draws, n), n at least 2.
        generator: Draws the resamples.
        resamples: How many a row.
        confidence: Share of samples whose interval is to hold the true mean.
    """
    return _bootstrap(
        scores,
        method="percentile",
        generator=generator,
        resamples=resamples,
        confidence=confidence,
    )


def bca_interval(
    scores: Values,
    *,
    generator: numpy.random.Generator,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Intervals:
    """Return the bias-corrected and accelerated bootstrap interval of the mean of each row.

    Efron (1987), Better bootstrap confidence intervals, JASA 82:171. NaN where all values of a
    row are equal.

    Args:
        scores: Of shape (draws, n), n at least 2.
        generator: Draws the resamples.
        resamples: How many a row.
        confidence: Share of samples whose interval is to hold the true mean.
    """
    return _bootstrap(
        scores, method="BCa", generator=generator, resamples=resamples, confidence=confidence
    )


def logit_t_interval(scores: Values, *, confidence: float = 0.95) -> Intervals:
    """Return Student's t interval on the logit scale, transformed back.

    It cannot leave (0, 1). It covers the mean of the logits, transformed back, which
    for skewed scores is not the mean of the scores.

    Args:
        scores: Of shape (draws, n), n at least 2, all between 0 and 1, ends excluded.
        confidence: Share of samples whose interval is to hold the true mean.

    Raises:
        ValueError: A score is not between 0 and 1.
    """
    from scipy.special import expit, logit

    rows = floats(scores, 2)
    if not ((rows > 0) & (rows < 1)).all():
        raise ValueError("scores: the logit scale takes values between 0 and 1, ends excluded")
    found = t_interval(logit(rows), confidence=confidence)
    return Intervals(expit(found.low), expit(found.high))


def _bootstrap(
    scores: Values,
    *,
    method: Literal["percentile", "BCa"],
    generator: numpy.random.Generator,
    resamples: int,
    confidence: float,
) -> Intervals:
    from scipy.stats import DegenerateDataWarning, bootstrap

    rows = floats(scores, 2)
    # A row of equal values has no acceleration; its interval is NaN, as the docstring says.
    with warnings.catch_warnings(), numpy.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", DegenerateDataWarning)
        found = bootstrap(
            (rows,),
            numpy.mean,
            axis=1,
            vectorized=True,
            method=method,
            n_resamples=resamples,
            batch=max(1, 4_000_000 // rows.size),  # 32 MB at a time
            confidence_level=confidence,
            rng=generator,
        ).confidence_interval
    return Intervals(found.low, found.high)
