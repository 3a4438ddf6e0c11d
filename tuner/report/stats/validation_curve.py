"""Expected validation performance against budget, and where two arms change places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy

from tuner.report.stats.arrays import Floats, Values, floats
from tuner.report.stats.interval import mean_of

_ROUNDING = 1e-12
"""Values that differ by less than this share of their size tie."""


@dataclass(frozen=True, slots=True)
class Swap:
    """A budget at which one arm takes the lead from the other."""

    at: float
    """From this budget on, in the unit of x."""
    leader_before: Literal["a", "b"]
    leader_after: Literal["a", "b"]


def expected_best(
    values: Values, *, higher_is_better: bool = True, replacement: bool = False
) -> Floats:
    """Return the expected best of the first 1, 2, ... B of B trials in random order.

    Without replacement: the mean of the best over all sets of n trials, unbiased for n draws of
    the law that they come from (Tang et al. 2020, Showing Your Work Doesn't Always Work, ACL).
    With replacement: the mean of the best of n draws from the empirical law, biased downwards
    for n near B (Dodge et al. 2019, Show Your Work, EMNLP).

    Either way P(best of n is at most the i-th smallest) is a product of n ratios, i / B with
    replacement and (i - j) / (B - j) without, j = 0, 1, ...: stable for any B.

    Args:
        values: Validation scores of the trials, of shape (B,).
        higher_is_better: False for a loss: the best is the smallest.
        replacement: Which of the two estimators.

    Returns:
        Of shape (B,), in the unit of the values.
    """
    found = numpy.sort(floats(values) if higher_is_better else -floats(values))
    budget = len(found)
    places = numpy.arange(1, budget)
    steps = numpy.diff(found)
    at_most = numpy.ones(budget - 1 if budget else 0)
    curve = numpy.empty(budget)
    for drawn in range(budget):
        gone = 0 if replacement else drawn
        at_most *= numpy.maximum(places - gone, 0) / (budget - gone)
        # The mean of a variable that climbs `steps` from the smallest value: by parts.
        curve[drawn] = found[-1] - at_most @ steps
    return curve if higher_is_better else -curve


def expected_seconds(seconds: Values) -> Floats:
    """Return the mean seconds that 1, 2, ... B trials take together: n times the mean.

    Args:
        seconds: Of each trial, of shape (B,).
    """
    found = floats(seconds)
    return numpy.arange(1.0, len(found) + 1) * mean_of(found.tolist())


def swaps(
    x_a: Values, y_a: Values, x_b: Values, y_b: Values, *, higher_is_better: bool
) -> list[Swap]:
    """Return the budgets at which two curves change places.

    A curve is a step function: its value stays until the next budget. The two are
    compared from where both have begun, at every x of either. A tie changes nothing: a swap is
    where the other arm gets strictly ahead.

    Args:
        x_a: Budgets of arm a, ascending, of shape (n,).
        y_a: Its expected best there.
        x_b: Budgets of arm b, ascending, of shape (m,).
        y_b: Its expected best there.
        higher_is_better: False for a loss.
    """
    first, second = floats(x_a), floats(x_b)
    if not len(first) or not len(second):
        return []
    both = numpy.union1d(first, second)
    both = both[both >= max(first[0], second[0])]
    a, b = _at(first, floats(y_a), both), _at(second, floats(y_b), both)
    lead = a - b if higher_is_better else b - a
    lead[numpy.abs(lead) <= _ROUNDING * numpy.maximum(numpy.abs(a), numpy.abs(b))] = 0.0
    found = []
    before: Literal["a", "b"] | None = None
    for place, ahead in zip(both.tolist(), lead.tolist(), strict=True):
        if not ahead:
            continue
        leader: Literal["a", "b"] = "a" if ahead > 0 else "b"
        if before is not None and leader != before:
            found.append(Swap(at=place, leader_before=before, leader_after=leader))
        before = leader
    return found


def _at(x: Floats, y: Floats, places: Floats) -> Floats:
    """Return the last value that each place has reached."""
    return y[numpy.searchsorted(x, places, side="right") - 1]
