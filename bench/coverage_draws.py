"""Draw scores; count how often intervals cover their mean and how often the test errs."""

from __future__ import annotations

import csv
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy

from tuner.report import stats
from tuner.report.stats.arrays import Floats

Draw = Callable[[numpy.random.Generator, tuple[int, int]], Floats]

SEED = 2021
COVERAGE_SEEDS = (5, 10, 20)
TEST_SEEDS = (5, 6, 8, 10, 20)
EFFECTS = (0.5, 1.0, 2.0)
LEAST, MOST = 0.93, 0.97
"""Between these the chosen interval must cover normal scores."""
NORMAL = "normal"


@dataclass(frozen=True)
class Law:
    """A law that scores are drawn from."""

    name: str
    mean: float
    draw: Draw


@dataclass(frozen=True)
class Simulation:
    """The result of a simulation."""

    draws: int
    resamples: int
    coverage: Mapping[tuple[str, int], Mapping[str, float]]
    """By law and n: for each candidate the share of intervals that cover the mean."""
    errors: Mapping[tuple[str, int], float]
    """By law and n: the test's false positive rate at .05, over all flips of drawn sizes."""
    drawn_errors: Mapping[tuple[str, int], float]
    """The same with the signs drawn too: the share of p at or under .05."""
    power: Mapping[tuple[str, int], float]
    """By effect and n: the share of p at or under .05."""
    reckoned_power: Mapping[tuple[str, int], float]
    """By effect and n: the power that the report computes."""

    def chosen(self) -> str:
        """Return the candidate that fits normal scores at every n and is best on the others."""
        fit = [
            name
            for name in next(iter(self.coverage.values()))
            if all(
                LEAST <= shares[name] <= MOST
                for (law, _), shares in self.coverage.items()
                if law == NORMAL
            )
        ]
        return min(fit, key=self.shortfall)

    def shortfall(self, candidate: str) -> float:
        """Return by how much its worst coverage of scores that are not normal misses .95."""
        found = (shares[candidate] for (law, _), shares in self.coverage.items() if law != NORMAL)
        return 0.95 - min(found)


def normal() -> Law:
    """Return scores as far from 0 and 1 as most are."""
    return Law(NORMAL, 0.8, lambda generator, shape: generator.normal(0.8, 0.02, shape))


def skewed() -> Law:
    """Return accuracies near 1, with a tail towards 0: skewness -1.27."""
    return Law("Beta(40, 2)", 40 / 42, lambda generator, shape: generator.beta(40, 2, shape))


def real(path: Path, column: str) -> Law:
    """Return scores resampled from runs, their arms centred and pooled.

    Five scores an arm are too few to stand for a law. So each arm's deviations from its own mean,
    scaled by sqrt(n / (n - 1)) to have the variance that the arm's runs estimate, are put in one
    urn, and the mean of the arms' means is added. The urn keeps the lumps of real scores:
    collapsed runs far below, and arms of little and of much spread together.
    """
    arms: defaultdict[str, list[float]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["state"] == "finished" and row[column]:
                arms[row["arm"]].append(float(row[column]))
    means = {arm: statistics.fmean(scores) for arm, scores in arms.items()}
    centre = statistics.fmean(means.values())
    urn = numpy.array(
        [
            centre + (score - means[arm]) * math.sqrt(len(scores) / (len(scores) - 1))
            for arm, scores in arms.items()
            for score in scores
        ]
    )
    return Law("real runs", centre, lambda generator, shape: generator.choice(urn, shape))


def simulate(laws: Sequence[Law], draws: int, *, resamples: int) -> Simulation:
    """Draw samples and count. The same arguments give the same numbers."""
    return Simulation(
        draws=draws,
        resamples=resamples,
        coverage={
            (law.name, n): coverage(law, n, draws=draws, resamples=resamples)
            for law in laws
            for n in COVERAGE_SEEDS
        },
        errors={
            (law.name, n): false_positives(law, n, draws=draws // 20)
            for law in laws
            for n in TEST_SEEDS
        },
        drawn_errors={
            (f"{law.name}, drawn", n): rejections(law, n, draws=10 * draws, effect=0.0)
            for law in laws
            for n in TEST_SEEDS
        },
        power={
            (f"d = {effect}, simulated", n): rejections(normal(), n, draws=draws, effect=effect)
            for effect in EFFECTS
            for n in TEST_SEEDS
        },
        reckoned_power={
            (f"d = {effect}, reckoned", n): stats.sign_flip_power(effect, n)
            for effect in EFFECTS
            for n in TEST_SEEDS
        },
    )


def coverage(law: Law, n: int, *, draws: int, resamples: int) -> dict[str, float]:
    """Return for each candidate the share of samples of n whose interval covers the mean."""
    generator = numpy.random.default_rng([SEED, n])
    scores = law.draw(generator, (draws, n))
    bootstrap = partial(_resampled, generator=generator, resamples=resamples)
    found = {
        "t": stats.t_interval(scores),
        "percentile": bootstrap(stats.percentile_interval, scores),
        "BCa": bootstrap(stats.bca_interval, scores),
        "logit t": stats.logit_t_interval(scores),
    }
    return {
        name: float(((interval.low <= law.mean) & (law.mean <= interval.high)).mean())
        for name, interval in found.items()
    }


def false_positives(law: Law, n: int, *, draws: int, level: float = 0.05) -> float:
    """Return how often the test errs if two arms draw from one law, over all flips of signs.

    Given the sizes of the differences, all their flips are equally likely. So the share of flips
    whose p is at or under the level is the rate itself; only the sizes are drawn.

    Args:
        law: What both arms draw from.
        n: Number of pairs.
        draws: Number of samples.
        level: Level of the test.
    """
    generator = numpy.random.default_rng([SEED, n, 0])
    differences = law.draw(generator, (draws, n)) - law.draw(generator, (draws, n))
    return statistics.fmean(rejecting_flips(row, level) for row in differences)


def rejecting_flips(differences: Floats, level: float) -> float:
    """Return the share of all flips of the differences' signs that get a p at the level."""
    # A flip and its mirror have one p: the first difference keeps its sign.
    sums = differences[:1]
    for difference in differences[1:]:
        sums = numpy.concatenate([sums + difference, sums - difference])
    sums = numpy.abs(sums)
    allowed = math.floor(level * len(sums))
    # The largest sum that is one too many: neither it nor its ties reject.
    first_out = numpy.partition(sums, len(sums) - allowed - 1)[len(sums) - allowed - 1]
    return float((sums > first_out + 1e-8 * numpy.abs(differences).sum()).mean())


def rejections(law: Law, n: int, *, draws: int, effect: float, level: float = 0.05) -> float:
    """Return how often n pairs of scores of one law, the first shifted, get a p at the level.

    Args:
        law: What both arms draw from.
        n: Number of pairs.
        draws: Number of samples.
        effect: Shift in standard deviations of the differences; 0: the null hypothesis holds.
        level: Level of the test.
    """
    generator = numpy.random.default_rng([SEED, n, round(effect * 100)])
    differences = law.draw(generator, (draws, n)) - law.draw(generator, (draws, n))
    if effect:
        differences += effect * differences.std()
    return sum(stats.sign_flip_p(row) <= level for row in differences) / draws


def _resampled(
    interval: Callable[..., stats.Intervals],
    scores: Floats,
    *,
    generator: numpy.random.Generator,
    resamples: int,
) -> stats.Intervals:
    return interval(scores, generator=generator, resamples=resamples)
