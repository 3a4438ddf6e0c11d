"""Simulate the coverage of intervals and the errors of the test; write docs/coverage.md.

Run it from the repository root: `python -m bench.coverage`. It takes a few minutes.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.coverage_draws import TEST_SEEDS, Simulation, normal, real, simulate, skewed

RUNS = Path("docs/results/restaurant-minilm/runs.csv")
COLUMN = "test/macro_f1"


def main() -> None:
    """Simulate and write the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--column", default=COLUMN)
    parser.add_argument("--output", type=Path, default=Path("docs/coverage.md"))
    given = parser.parse_args()
    laws = [normal(), skewed(), real(given.runs, given.column)]
    simulation = simulate(laws, given.draws, resamples=given.resamples)
    command = shlex.join(["python", "-m", "bench.coverage", *sys.argv[1:]])
    given.output.write_text(text(simulation, command), encoding="utf-8")


def text(simulation: Simulation, command: str = "python -m bench.coverage") -> str:
    """Return the document that the command writes."""
    return "\n".join([*document(simulation, command), ""])


def document(simulation: Simulation, command: str) -> Iterator[str]:
    """Yield the document, in parts of one or more lines."""
    yield TOP.format(
        command=command,
        draws=f"{simulation.draws:,}",
        resamples=f"{simulation.resamples:,}",
        error=f"{100 * math.sqrt(0.95 * 0.05 / simulation.draws):.2f}",
    )
    names = list(next(iter(simulation.coverage.values())))
    yield from _head(["scores", "n", *names])
    for (law, n), shares in simulation.coverage.items():
        yield _row([law, n, *(f"{shares[name]:.1%}" for name in names)])
    chosen = simulation.chosen()
    others = [f"{simulation.shortfall(name) * 100:.1f} ({name})" for name in names]
    yield CHOICE.format(
        many=f"{10 * simulation.draws:,}",
        few=f"{simulation.draws // 20:,}",
        many_error=f"{100 * math.sqrt(0.95 * 0.05 / (10 * simulation.draws)):.2f}",
        chosen=chosen,
        shortfall=f"{simulation.shortfall(chosen) * 100:.1f}",
        others=", ".join(others),
    )
    titles = [f"n = {n}" for n in TEST_SEEDS]
    yield from _head(["both arms draw", *titles])
    yield from _by_seeds(simulation.errors)
    yield from _by_seeds(simulation.drawn_errors)
    yield POWER
    yield from _head(["mean difference", *titles])
    yield from _by_seeds(simulation.power)
    yield from _by_seeds(simulation.reckoned_power)


def _by_seeds(shares: Mapping[tuple[str, int], float]) -> Iterator[str]:
    for name in dict.fromkeys(name for name, _ in shares):
        yield _row([name, *(f"{share:.1%}" for (law, _), share in shares.items() if law == name)])


def _head(titles: Sequence[str]) -> Iterator[str]:
    yield _row(titles)
    yield _row(["---", *(["---:"] * (len(titles) - 1))])


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


TOP = """# How often the intervals hold, and how often the test errs

Made by

    {command}

which draws {draws} samples for each number below, unless it says otherwise; the bootstraps
resample each {resamples} times.
The Monte Carlo error of a share near 95% or 5% is about {error} points (one standard error).

Scores are drawn from three laws:

- **normal**, mean .80, standard deviation .02;
- **Beta(40, 2)**, mean .952, standard deviation .032, skewness -1.27: accuracies near 1;
- **real runs**: those of `--runs`, by default macro-F1 on the test split of the 25 confirm runs in
  `docs/results/restaurant-minilm/runs.csv`. Each arm's deviations from its mean, scaled to the
  variance that they estimate, are put in one urn and drawn with replacement around the mean of
  the arms. The urn mixes arms of little and of much spread, and has two collapsed runs.

## Coverage of the nominal 95% intervals of the mean
"""
CHOICE = """
**Chosen: {chosen}**, at every n and on every scale. A candidate qualifies if it covers 93 to 97%
of the normal samples at n = 5, 10 and 20; of those that do, the one is chosen that falls least
short of 95% elsewhere. The largest shortfalls on the Beta and the real scores, in points:
{others}.

So where scores are skewed and near 1, the interval that the report shows can miss the mean in up
to {shortfall} of 100 studies more than it says. The bootstraps are too narrow for so few seeds.
The interval on the logit scale is better at n = 5 on Beta scores, but it covers the mean of the
logits, not of the scores: it gets worse as n grows.

## False positive rate of the exact sign-flip test at p <= .05

Two arms draw from the same law, seed by seed; the null hypothesis holds. The differences of two
draws of one law are symmetric however skewed the law is: given their sizes, all flips of their
signs are equally likely. The share of flips whose p is at or under .05 is then the rate itself.
It is computed over all flips of {few} drawn samples, and can't exceed 5%: p is the share of flips
as extreme. With few pairs it is below, since p has few values; with five none is under .0625.
Below, rates over {many} samples whose signs are drawn too, as a check of the code that the report
uses: they are the same within their Monte Carlo error of about {many_error} points.
"""
POWER = """
## Power at p <= .05

The first arm is better by d standard deviations of the differences; scores are normal. Below, the
power by which `tuner plan` reckons the seeds: exact where at most two flips of a side reject,
else the t test's at the level that so many flips reach.
"""

if __name__ == "__main__":
    main()
