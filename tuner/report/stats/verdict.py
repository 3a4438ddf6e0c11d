"""Judge the difference of two arms: one interval, and the verdict that it allows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from tuner.report.stats.arrays import Values, floats
from tuner.report.stats.interval import Interval, mean_of, std_of
from tuner.report.stats.power import MOST_SEEDS
from tuner.report.stats.sign_flip import sign_flip_p

VerdictKind = Literal[
    "better by more than the margin",
    "better",
    "equivalent within the margin",
    "not worse by more than the margin",
    "not better by more than the margin",
    "worse",
    "worse by more than the margin",
    "open",
]
WITHIN_MARGIN = (
    "equivalent within the margin",
    "not worse by more than the margin",
    "not better by more than the margin",
)
"""Verdicts that a collapse forbids."""
_LEAST_FOR_P = 6
"""Below six pairs the exact test cannot reach .05."""
_LEAST_FOR_SEEDS = 5
_POWER = 0.8


@dataclass(frozen=True, slots=True)
class SeedsNeeded:
    """How many seeds in all are likely to give a verdict; the ends are of a middle half."""

    verdict: VerdictKind
    low: int
    high: int | None
    """None: more than 1,000, or no number of seeds, as the test rows are too few."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be said of the mean difference of arm a and arm b. Positive: a is better."""

    kind: VerdictKind
    n: int
    """Pairs of seeds."""
    mean: float
    """Mean difference."""
    std: float
    """Standard deviation of the differences (n - 1); NaN below two pairs."""
    low: float
    """Lower end of the interval that gives the verdict; NaN below two pairs."""
    high: float
    level: float
    """The interval's two-sided level, after it was divided by the number of pairs of arms."""
    row_error: float
    """Standard error of the mean difference over test rows; NaN where it is not known."""
    ahead: int
    """Seeds on which a is better."""
    behind: int
    """Seeds on which b is better."""
    p: float
    """Exact two-sided sign-flip p, not corrected; NaN below six pairs."""
    needed: SeedsNeeded | None
    """Seeds for the verdict that is nearest; None where there is one, or below five pairs."""


def judge(
    differences: Values,
    *,
    margin: float,
    row_error: float = math.nan,
    level: float = 0.05,
    collapsed: bool = False,
) -> Verdict:
    """Judge one difference. The order of the seeds changes nothing.

    The interval is Student's, with the variance of the mean over seeds and the variance over
    test rows added, and the degrees of freedom of Welch (1947) and Satterthwaite (1946), where
    the rows' variance counts as known. The verdict is read off this interval alone, so that the
    two never contradict each other: *equivalent* is said where the interval lies inside the
    margin, which is the test of Schuirmann (1987), two one-sided tests, at half the level each.

    Args:
        differences: Of shape (n,), a - b on each seed that both have, positive where a is
            better; n at least 1.
        margin: What is too small to matter, in the unit of the differences; 0: no margin.
        row_error: Standard error of the mean difference over test rows; NaN: not known, and 0.
        level: Two-sided level of this verdict: that of all, divided by their number (Bonferroni).
        collapsed: Some run of the two arms collapsed, and `differences` are of the others: then
            nothing is said to be equivalent, not worse or not better.

    Raises:
        ValueError: There is no difference, or the margin is negative.
    """
    found = floats(differences).tolist()
    if not found or margin < 0:
        raise ValueError(f"judge: got {len(found)} differences and margin {margin}")
    n, mean, std = len(found), mean_of(found), std_of(found)
    rows = 0.0 if math.isnan(row_error) else row_error
    interval = difference_interval(mean, std, n=n, row_error=rows, level=level)
    kind = verdict_kind(interval, margin)
    if collapsed and kind in WITHIN_MARGIN:
        kind = "open"
    judged = _Sample(mean, std, n, rows, level)
    return Verdict(
        kind=kind,
        n=n,
        mean=mean,
        std=std,
        low=interval.low,
        high=interval.high,
        level=level,
        row_error=row_error,
        ahead=sum(value > 0 for value in found),
        behind=sum(value < 0 for value in found),
        p=sign_flip_p(found) if n >= _LEAST_FOR_P else math.nan,
        needed=judged.nearest(margin, collapsed=collapsed) if kind == "open" else None,
    )


def difference_interval(
    mean: float, std: float, *, n: int, row_error: float = 0.0, level: float = 0.05
) -> Interval:
    """Return the interval of a mean difference over seeds and test rows.

    Args:
        mean: Of the differences.
        std: Standard deviation of the differences (n - 1).
        n: Number of differences; below two both ends are NaN.
        row_error: Standard error over test rows.
        level: Two-sided.
    """
    if n < 2:
        return Interval(math.nan, math.nan)
    error, freedom = _error(std, n, row_error)
    half = 0.0 if not error else t_reach(freedom, level) * error
    return Interval(mean - half, mean + half)


def collapse_limit(collapsed: int, runs: int, *, level: float = 0.05) -> float:
    """Return the upper end of a rate of collapse, one-sided (Clopper and Pearson 1934).

    Args:
        collapsed: Runs that collapsed.
        runs: All runs, at least 1.
        level: Probability that the true rate is above the end.
    """
    from scipy.special import betaincinv

    return (
        1.0 if collapsed == runs else float(betaincinv(collapsed + 1, runs - collapsed, 1 - level))
    )


@dataclass(frozen=True, slots=True)
class _Sample:
    """What was seen of a difference, to tell how many seeds would settle it."""

    mean: float
    std: float
    n: int
    row_error: float
    level: float

    def nearest(self, margin: float, *, collapsed: bool) -> SeedsNeeded | None:
        """Return the verdict that needs the fewest seeds if the differences go on so."""
        if self.n < _LEAST_FOR_SEEDS or not self.std > 0:
            return None
        found: list[tuple[int, SeedsNeeded]] = []
        for kind, distances in _targets(self.mean, margin):
            if collapsed and kind in WITHIN_MARGIN:
                continue
            middle = self._needed([self._shrunk(distance) for distance in distances])
            if middle is not None:
                found.append((middle, self._range(kind, distances)))
        return min(found, key=lambda one: one[0])[1] if found else None

    def _range(self, kind: VerdictKind, distances: tuple[float, ...]) -> SeedsNeeded:
        ends = [self._needed([self._quartile(d, share) for d in distances]) for share in (3, 1)]
        return SeedsNeeded(kind, ends[0] or self.n + 1, ends[1])

    def _shrunk(self, distance: float) -> float:
        """Take off what a small sample adds to an effect size (Hedges 1981, JES 6:107)."""
        return distance * (1 - 3 / (4 * (self.n - 1) - 1))

    def _quartile(self, distance: float, quarters: int) -> float:
        """Return an end of the middle half of distances that could have given the one seen."""
        from scipy.special import nctdtrinc

        root = math.sqrt(self.n)
        seen = min(distance * root / self.std, 30.0)  # from where on scipy's series may fail
        center = float(nctdtrinc(self.n - 1, 1 - quarters / 4, seen))
        return center * self.std / root

    def _needed(self, distances: list[float]) -> int | None:
        """Return the seeds for 80% power; None: more than 1,000."""
        low, high = self.n + 1, MOST_SEEDS
        if self._power(distances, high) < _POWER:
            return None
        while low < high:  # the power grows with n
            middle = (low + high) // 2
            low, high = (
                (low, middle) if self._power(distances, middle) >= _POWER else (middle + 1, high)
            )
        return high

    def _power(self, distances: list[float], n: int) -> float:
        """Return the probability that the interval excludes what lies so far from the mean."""
        from scipy.special import nctdtr

        error, freedom = _error(self.std, n, self.row_error)
        reach = t_reach(freedom, self.level)
        missed = [
            float(nctdtr(freedom, min(distance / error, 30.0), reach)) if distance > 0 else 1.0
            for distance in distances
        ]
        return 1 - sum(missed)


def _targets(mean: float, margin: float) -> Iterator[tuple[VerdictKind, tuple[float, ...]]]:
    """Yield each verdict with the distances from the mean to what its interval is to exclude."""
    yield ("better", (mean,)) if mean > 0 else ("worse", (-mean,))
    if margin:
        yield "not worse by more than the margin", (margin + mean,)
        yield "not better by more than the margin", (margin - mean,)
        yield "equivalent within the margin", (margin + mean, margin - mean)


def verdict_kind(interval: Interval, margin: float) -> VerdictKind:
    """Read a verdict off an interval of a difference; positive: the first arm is better."""
    low, high = interval.low, interval.high
    kinds: dict[VerdictKind, bool] = {
        "better by more than the margin": low > margin > 0,
        "worse by more than the margin": high < -margin < 0,
        "better": low > 0,
        "worse": high < 0,
        "equivalent within the margin": margin > 0 and -margin < low and high < margin,
        "not worse by more than the margin": margin > 0 and low > -margin,
        "not better by more than the margin": margin > 0 and high < margin,
    }
    return next((kind for kind, holds in kinds.items() if holds), "open")


def _error(std: float, n: int, row_error: float) -> tuple[float, float]:
    """Return the standard error of the mean difference, and its degrees of freedom."""
    seeds, rows = std**2 / n, row_error**2
    both = seeds + rows
    freedom = (n - 1) * (both / seeds) ** 2 if seeds else math.inf
    return math.sqrt(both), min(freedom, 1e6)


@lru_cache(maxsize=4096)
def t_reach(freedom: float, level: float) -> float:
    """Return how many standard errors a two-sided interval reaches (Student's t)."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1 - level / 2))
