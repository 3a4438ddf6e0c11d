"""Test paired differences by flipping their signs."""

from __future__ import annotations

import math

import numpy

from tuner.report.stats.arrays import Floats, Values, floats

_MOST_EXACT = 30
_DRAWS = 99_999
_AT_ONCE = 2_000_000
_TIE = 1e-8
"""Sums closer than this share of all differences' sizes are ties. A constant added to both arms
changes the differences' last bits, which must not decide."""


def sign_flip_p(differences: Values) -> float:
    """Return the two-sided p of the sign-flip test of the mean difference.

    The null hypothesis is that each difference is as likely to be d as -d: so it is when two
    arms draw from the same law. Fisher (1935), The Design of Experiments, section 21. Exact over
    all 2^n flips up to 30 differences. Beyond, an estimate from 99,999 random flips under a
    fixed seed, the observed one counted in (Phipson and Smyth 2010), so that it is never 0.

    Args:
        differences: Of shape (n,). If all are 0, or there is none, p is 1.
    """
    found = floats(differences).tolist()
    # All flips of the sizes are all flips of the differences; sorted, their order is forgotten.
    sizes = numpy.sort(numpy.abs(found))
    least = abs(math.fsum(found)) - _TIE * math.fsum(sizes)
    if not least > 0:
        return 1.0
    return _exact_p(sizes, least) if len(sizes) <= _MOST_EXACT else _estimated_p(sizes, least)


def _exact_p(sizes: Floats, least: float) -> float:
    """Count the flips in two halves that meet: each sum is one of the left and one of the right.

    Halves of 15 make 2^15 sums each, to be matched in sorted order, instead of 2^30.
    """
    left = numpy.sort(_sums(sizes[::2]))
    right = _sums(sizes[1::2])
    beyond = len(left) * len(right) - int(numpy.searchsorted(left, least - right).sum())
    # Every flip has its mirror: both tails are equal.
    return math.ldexp(beyond, 1 - len(sizes))


def _sums(sizes: Floats) -> Floats:
    """Return the sums of sizes under all flips of their signs; of none, the one sum 0."""
    sums = numpy.zeros(1)
    for size in sizes:
        sums = numpy.concatenate([sums + size, sums - size])
    return sums


def _estimated_p(sizes: Floats, least: float) -> float:
    generator = numpy.random.default_rng(0)
    beyond = 0
    step = max(1, _AT_ONCE // len(sizes))
    for start in range(0, _DRAWS, step):
        shape = (min(step, _DRAWS - start), len(sizes))
        signs = generator.integers(0, 2, size=shape, dtype=numpy.int8) * 2.0 - 1.0
        beyond += int((numpy.abs(signs @ sizes) >= least).sum())
    return (beyond + 1) / (_DRAWS + 1)
