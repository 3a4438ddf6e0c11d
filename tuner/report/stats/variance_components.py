"""Part the variance of scores among the sources of randomness."""

from __future__ import annotations

from collections.abc import Mapping

import numpy

from tuner.report.stats.arrays import Booleans, Counts, Floats, Values, floats

REST = "rest"
"""The name of the variance that no known source explains: hidden randomness, interactions."""


def variance_components(values: Values, seeds: Mapping[str, Values]) -> dict[str, float]:
    """Estimate the variance that each source of randomness brings.

    The model: a score is a constant plus an independent random effect of each source's seed plus
    a rest. Half the squared difference of two runs then has the expectation of the summed
    variances of the sources in which they differ, plus the rest's. These equations, one for each
    pair of runs, are solved by least squares with no variance below 0. Koch (1967), A general
    approach to the estimation of variance components, Technometrics 9:93, and (1968), 10:551, for
    the form in differences; in a balanced crossed design it is the estimate of the analysis of
    variance, as long as that is not negative.

    Which sources can be told apart depends on the runs. One that never varies is left out.
    Several that always vary together are one, `init+order`. One that no two runs share cannot
    be told from the rest and is joined with it, `init+rest`; so are all sources if the
    equations leave open how to part the variance.

    Args:
        values: A score for each run, of shape (n,).
        seeds: By source, such as init: the seed of each run, of shape (n,).

    Returns:
        By source, in the order of `seeds`, the rest last: variance in the squared unit of the
        values. Empty below two runs.
    """
    found = floats(values)
    if len(found) < 2:
        return {}
    first, second = numpy.triu_indices(len(found), k=1)
    halves = (found[first] - found[second]) ** 2 / 2
    differ = {}
    for source, numbers in seeds.items():
        numbered = numpy.asarray(numbers)
        if numbered.shape != found.shape:
            raise ValueError(f"seeds of {source}: expected {len(found)}, got {numbered.size}")
        differ[source] = numbered[first] != numbered[second]
    names, design = _separable(differ, len(halves))
    return dict(zip(names, _solve(design, halves), strict=True))


def _separable(differ: Mapping[str, Booleans], pairs: int) -> tuple[list[str], Booleans]:
    """Join the sources that these pairs of runs cannot tell apart."""
    joined: dict[bytes, list[str]] = {}
    rest = numpy.ones(pairs, dtype=bool)
    for source, column in differ.items():
        if column.any():
            joined.setdefault(column.tobytes(), []).append(source)
    with_rest = joined.pop(rest.tobytes(), [])
    columns = [numpy.frombuffer(key, dtype=bool) for key in joined] + [rest]
    names = ["+".join(sources) for sources in joined.values()]
    patterns = numpy.unique(numpy.stack(columns, axis=1), axis=0)
    if numpy.linalg.matrix_rank(patterns.astype(float)) < len(columns):
        everything = [source for source, column in differ.items() if column.any()]
        return ["+".join([*everything, REST])], rest[:, None]
    return [*names, "+".join([*with_rest, REST])], numpy.stack(columns, axis=1)


def _solve(design: Booleans, halves: Floats) -> list[float]:
    """Solve by non-negative least squares; pairs of one pattern weigh as one, by their number."""
    if design.shape[1] == 1:  # nothing to part, and no solver to load
        return [float(numpy.sort(halves).mean())]
    from scipy.optimize import nnls

    patterns: Booleans
    place: Counts
    patterns, place = numpy.unique(design, axis=0, return_inverse=True)
    numbers = numpy.bincount(place)
    weights = numpy.sqrt(numbers)
    # Sorted, so that sums do not depend on the order of the runs.
    order = numpy.argsort(halves, kind="stable")
    means = numpy.bincount(place[order], weights=halves[order]) / numbers
    scale = float(means.max()) or 1.0
    solution, _ = nnls(patterns * weights[:, None], weights * means / scale)
    found: list[float] = (solution * scale).tolist()
    return found
