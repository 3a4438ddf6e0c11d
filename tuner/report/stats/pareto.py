"""Find the arms that no other beats in every respect, and how sure that is over seeds."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy

from tuner.report.stats.arrays import Booleans, Floats, Values, floats

_MOST_EXACT = 7
_RESAMPLES = 2000
_ROUNDING = 1e-12
"""Costs that differ by less than this share of the largest are equal."""


@dataclass(frozen=True, slots=True)
class _Resamples:
    """Ways to draw n seeds with replacement."""

    counts: Floats
    """Of shape (ways, seeds): how often each seed is drawn."""
    weights: Floats
    """Of shape (ways,): the probability of each way."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The difference in each cost from which on it matters; what is smaller is a tie."""

    absolute: tuple[float, ...]
    """In the unit of each cost."""
    relative: tuple[float, ...]
    """As a share of the cost of the arm that may be beaten, added to the absolute step."""


def pareto(costs: Values, steps: Steps | None = None) -> Booleans:
    """Return which arms are in the Pareto set: none is as good in all costs and better in one.

    With steps, a cost counts as better only by more than its step, and as worse likewise: among
    noisy costs some difference always speaks for each arm. If every arm is then beaten by some
    other, in a circle, the set is the one without steps.

    Args:
        costs: Of shape (arms, objectives); all are to be small.
        steps: What matters in each cost; None: any difference.

    Returns:
        Of shape (arms,). An arm that lacks a cost (NaN) is not in the set and beats none.
    """
    found: Booleans = _pareto(floats(costs, 2)[None], steps)[0]
    return found


def pareto_probability(scores: Values, steps: Steps | None = None) -> Floats:
    """Return in which share of resampled seeds each arm is in the Pareto set of the means.

    Seeds are drawn with replacement, the same for every arm. Up to seven seeds every way to
    draw them counts with its probability, so that the share is exact; beyond, 2,000 random
    draws under a fixed seed estimate it, with an error of at most .011.

    Args:
        scores: Costs of each run, all to be small, of shape (arms, seeds, objectives).
        steps: See `pareto`.

    Returns:
        Of shape (arms,), between 0 and 1.
    """
    runs = floats(scores, 3)
    seeds = runs.shape[1]
    if not seeds:
        raise ValueError("scores: no seeds")
    drawn = _all_resamples(seeds) if seeds <= _MOST_EXACT else _random_resamples(seeds)
    means = numpy.einsum("ws,aso->wao", drawn.counts, runs) / seeds
    share: Floats = drawn.weights @ _pareto(means, steps)
    return numpy.clip(share, 0.0, 1.0)


def _pareto(costs: Floats, steps: Steps | None = None) -> Booleans:
    """Find the Pareto sets of many draws, of shape (draws, arms, objectives)."""
    known = numpy.asarray(numpy.isfinite(costs).all(axis=2))
    filled = numpy.where(known[:, :, None], costs, numpy.inf)
    sizes = numpy.where(known[:, :, None], numpy.abs(costs), 0.0)
    slack = _ROUNDING * sizes.max(axis=1, initial=0.0)[:, None, :]
    best: Booleans = known.copy()
    for arm in range(costs.shape[1]):
        own = costs[:, arm : arm + 1, :]
        step = slack
        if steps is not None:
            step = slack + numpy.array(steps.absolute) + steps.relative * sizes[:, arm : arm + 1]
        beaten = (filled <= own + step).all(axis=2) & (filled < own - step).any(axis=2)
        best[:, arm] &= ~beaten.any(axis=1)
    if steps is not None:
        circles = known.any(axis=1) & ~best.any(axis=1)
        best[circles] = _pareto(costs[circles])
    return best


def _all_resamples(seeds: int) -> _Resamples:
    """List every multiset of n seeds with its multinomial probability."""
    rows = [
        numpy.bincount(chosen, minlength=seeds)
        for chosen in itertools.combinations_with_replacement(range(seeds), seeds)
    ]
    ways = [
        math.factorial(seeds) // math.prod(math.factorial(count) for count in row.tolist())
        for row in rows
    ]
    return _Resamples(
        counts=numpy.array(rows, dtype=numpy.float64),
        weights=numpy.array(ways) / seeds**seeds,
    )


def _random_resamples(seeds: int) -> _Resamples:
    generator = numpy.random.default_rng(0)
    counts = generator.multinomial(seeds, [1 / seeds] * seeds, size=_RESAMPLES)
    return _Resamples(
        counts=counts.astype(numpy.float64), weights=numpy.full(_RESAMPLES, 1 / _RESAMPLES)
    )
