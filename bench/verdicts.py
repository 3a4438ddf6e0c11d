"""Simulate how often verdicts err, and how often they are given; write docs/verdicts.md.

Run it from the repository root: `python -m bench.verdicts`. It takes a few minutes.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy

from tuner.report import stats

SEED = 2026
MARGIN = 1.0
"""In points, as everything here."""
SPREADS = (0.5, 1.0, 2.0)
SEEDS = (3, 5, 10)
KINDS = {
    "different": ("better", "worse"),
    "equivalent": ("equivalent",),
    "not worse": ("not worse",),
    "open": ("open", "not better"),
}
"""Columns, and how the verdicts in them begin."""
Generator = numpy.random.Generator


@dataclass(frozen=True)
class World:
    """A law of differences, positive where arm a is better, and what is false in it."""

    name: str
    draw: Callable[[Generator], stats.Verdict]
    false: tuple[str, ...] = ()
    """The columns whose verdicts are errors in this world."""


def normal_worlds(n: int, *, std: float) -> Iterator[World]:
    """Yield differences of a normal law whose mean is 0, half the margin, and at its ends."""
    for mean, false in (
        (0.0, ("different",)),
        (0.5, ()),
        (MARGIN, ("equivalent",)),
        (-MARGIN, ("equivalent", "not worse")),
    ):
        name = f"mean {mean:+.1f}, sd {std}, n = {n}"
        yield World(name, partial(_normal, mean=mean, std=std, n=n), false)


def _normal(generator: Generator, *, mean: float, std: float, n: int) -> stats.Verdict:
    return stats.judge(generator.normal(mean, std, n), margin=MARGIN)


def collapse_worlds(n: int) -> Iterator[World]:
    """Yield arms of which a collapses in 10% of runs by 30 points and is equal otherwise.

    With its collapses it is 3 points worse, so it is an error to call the arms alike.
    """
    for told, name in ((True, "told apart"), (False, "taken as scores")):
        title = f"10% of a collapse, {name}, n = {n}"
        yield World(title, partial(_collapses, told=told, n=n), ("equivalent", "not worse"))


def _collapses(generator: Generator, *, told: bool, n: int) -> stats.Verdict:
    differences = generator.normal(0, 0.5, n)
    fallen = generator.random(n) < 0.1
    if told and not fallen.all():
        kept = differences[~fallen]
        return stats.judge(kept, margin=MARGIN, collapsed=bool(fallen.any()))
    return stats.judge(differences - 30 * fallen, margin=MARGIN, collapsed=told)


def search_worlds() -> Iterator[World]:
    """Yield two arms of one law, each the best of 12 configurations by a single seed."""
    for count in (5, 10):
        draw = partial(_searched, seeds=count)
        yield World(f"one law, each searched once, n = {count}", draw, ("different",))


def _searched(generator: Generator, *, seeds: int) -> stats.Verdict:
    means = []
    for _ in range(2):
        configurations = generator.normal(0, 0.5, 12)
        means.append(configurations[(configurations + generator.normal(0, 1, 12)).argmax()])
    differences = means[0] - means[1] + generator.normal(0, math.sqrt(2), seeds)
    return stats.judge(differences, margin=MARGIN)


def row_worlds() -> Iterator[World]:
    """Yield two equally good arms that differ row by row, on one test sample."""
    for rows in (212, 1120):
        for known, name in ((True, "with the rows' error"), (False, "seeds alone")):
            title = f"one sample of {rows} test rows, {name}, n = 10"
            yield World(title, partial(_rows, rows=rows, known=known), ("different",))


def _rows(generator: Generator, *, rows: int, known: bool) -> stats.Verdict:
    """Draw the probability that each row is right under each arm; both have one law of them."""
    right = generator.beta(2, 0.5, (2, rows))
    truth = numpy.zeros(rows, dtype=int)
    guesses = [
        [(generator.random(rows) > right[arm]).astype(int) for _ in range(10)] for arm in (0, 1)
    ]
    scores = [numpy.array([100 * (guess == truth).mean() for guess in arm]) for arm in guesses]
    error = math.nan
    if known:
        found = stats.difference_row_error(truth, *guesses, classes=2, metric="accuracy")
        error = 100 * found
    return stats.judge(scores[0] - scores[1], margin=MARGIN, row_error=error)


def shares(world: World, draws: int) -> Mapping[str, float]:
    """Return how often each kind of verdict is given."""
    generator = numpy.random.default_rng([SEED, *world.name.encode()])
    counts: Counter[str] = Counter()
    for _ in range(draws):
        kind = world.draw(generator).kind
        counts[next(c for c, begins in KINDS.items() if kind.startswith(begins))] += 1
    return {column: counts[column] / draws for column in KINDS}


def text(draws: int, command: str) -> Iterator[str]:
    """Yield the lines of the page."""
    yield _TOP.format(command=command, draws=f"{draws:,}", error=f"{_error(draws):.1f}")
    for title, worlds in {
        "## Normal differences": [
            world for n in SEEDS for std in SPREADS for world in normal_worlds(n, std=std)
        ],
        "## Collapses": [world for n in (5, 10) for world in collapse_worlds(n)],
        "## Two arms of one law, each after a search": list(search_worlds()),
        "## Two equally good arms on one sample of test rows": list(row_worlds()),
    }.items():
        yield f"{title}\n"
        yield f"| world | {' | '.join(KINDS)} |"
        yield f"| --- |{' ---: |' * len(KINDS)}"
        for world in worlds:
            found = shares(world, draws)
            cells = [_cell(found[kind], wrong=kind in world.false) for kind in KINDS]
            yield f"| {world.name} | {' | '.join(cells)} |"
        yield ""


def _cell(share: float, *, wrong: bool) -> str:
    return f"**{share:.1%}**" if wrong else f"{share:.1%}"


def _error(draws: int) -> float:
    return 100 * math.sqrt(0.05 * 0.95 / draws)


_TOP = """# How often verdicts err, and how often they are given

Made by

    {command}

which draws {draws} studies of each world and judges them as the report does, with a margin of 1
point; the Monte Carlo error of a share near 5% is about {error} points. In bold are shares of
verdicts that are wrong in their world: *different* where the means are equal, *equivalent* and
*not worse* where the difference is as large as the margin. *Open* includes "not better by more
than the margin".

In the worlds of the first and the last table (with the rows' error) no error is above 5% by more
than the Monte Carlo error. It is above in two worlds, and the report says so beside its verdicts:
where no collapse was seen, it names the rate of collapses that could go unseen; where each arm was
searched once, it speaks of configurations, not of methods.
"""


def main() -> None:
    """Simulate and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--output", type=Path, default=Path("docs/verdicts.md"))
    given = parser.parse_args()
    command = shlex.join(["python", "-m", "bench.verdicts", *sys.argv[1:]])
    page = "\n".join(text(given.draws, command))
    given.output.write_text(f"{page.rstrip()}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
