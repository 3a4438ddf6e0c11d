"""Kill a study with -9 repeatedly, start it again each time, compare it with an undisturbed one.

Run it from the repository root: `python -m bench.chaos --output docs/results/chaos.md`. 100 kills
take about ten minutes on two idle cores. A study of 21 tiny runs (3 arms, 4 trials each, 3 seeds
to confirm) is done by two launchers on one store. At random moments a process of it is killed, ten
times in one study. When both launchers have reported that all is done, its reports and its runs in
MLflow must be those of an undisturbed study.

Two launchers that search one cell side by side learn from each other's trials as they come: under
a sampler that learns, points depend on the moment. This study's sampler is `random`, which draws a
trial's point from the cell and the trial's number alone, and each of its runs is on one thread. So
a run that is lost, doubled or mixed up is a difference, and nothing else is.

A series is repeated by its seed: what is killed, and how long after the last time. The machine's
own timing is not. Study 3 of the seed 7 is study 1 of the seed 9.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import random
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.chaos_compare import Killed, Remains, differences, gather
from bench.chaos_study import KINDS, NAME, RUNS, Draw, Kill, Study, Unfinished

KILLS_OF_A_STUDY = 10


@dataclass(frozen=True)
class Row:
    """A kill, and its cost."""

    kill: Kill
    resumed: Sequence[str]
    """Runs that were running and were begun anew, if they were in MLflow already."""


@dataclass(frozen=True)
class Result:
    """A disturbed study, compared with the undisturbed one."""

    seed: int
    rows: Sequence[Row]
    seconds: float
    differences: Sequence[str]
    """Differences and other faults; empty if there are none."""


def calm(folder: Path) -> tuple[Remains, float]:
    """Do the study undisturbed; return its remains and its seconds.

    Raises:
        Unfinished: It lacks runs, or has one twice.
    """
    study = Study(folder)
    try:
        study.begin()
        seconds = study.finish()
    finally:
        study.end()
    remains = gather(study.report(), folder / "mlruns", NAME)
    trained = [line for line, times in remains.runs.items() if '"parent": null' not in line]
    if study.faults or remains.killed or len(trained) != RUNS or max(remains.runs.values()) > 1:
        raise Unfinished(f"the calm study is not whole: {len(trained)} runs, {study.faults}")
    return remains, seconds


def disturb(folder: Path, seed: int, draws: Sequence[Draw], expected: Remains) -> Result:
    """Do the study, kill the drawn processes, compare its remains with the expected ones."""
    study, seconds, found = Study(folder), 0.0, None
    try:
        study.begin()
        for draw in draws:
            study.kill(draw)
        seconds = study.finish()
        found = gather(study.report(), folder / "mlruns", NAME)
        faults = differences(expected, found)
    except Unfinished as unfinished:
        faults = [str(unfinished)]
    finally:
        study.end()
    rows, unexplained = resumed(study.kills, found.killed if found else ())
    faults += [f"MLflow has {name} as killed, and nothing was" for name in unexplained]
    return Result(seed, rows, seconds, [*study.faults, *faults])


def resumed(kills: Sequence[Kill], killed: Sequence[Killed]) -> tuple[list[Row], list[str]]:
    """Assign each killed run in MLflow to the first kill after its start.

    A launcher may begin one more run before it notices that its projecting process is gone.
    """
    rows = [Row(kill, []) for kill in kills]
    writers = [number for number, kill in enumerate(kills) if kill.kind == "writer"]
    unexplained = []
    for run in killed:
        later = [number for number, kill in enumerate(kills) if kill.moment >= run.start]
        place = later[0] if later else writers[-1] if writers else None
        if place is None:
            unexplained.append(run.name)
        else:
            rows[place] = replace(rows[place], resumed=[*rows[place].resumed, run.name])
    return rows, unexplained


def draws(seed: int, kills: int, *, kinds: Sequence[str], seconds: float) -> list[Draw]:
    """Draw the kills: times are even over most of the seconds of an undisturbed study.

    Kills make the study longer, and a kill may wait for a process of its kind.
    """
    random_ = random.Random(seed)
    moments = [0.0, *sorted(random_.uniform(0, 0.6 * seconds) for _ in range(kills))]
    return [
        Draw(after - before, random_.choice(kinds), random_.randrange(2), random_.uniform(0, 0.4))
        for before, after in itertools.pairwise(moments)
    ]


def series(
    root: Path, *, kills: int, seed: int, kinds: Sequence[str], keep: Path | None
) -> Iterator[Result]:
    """Disturb one study after another until the number of kills is reached."""
    expected, seconds = calm(root / "calm")
    _say(f"calm: {seconds:.0f} s")
    for number, first in enumerate(range(0, kills, KILLS_OF_A_STUDY)):
        count = min(KILLS_OF_A_STUDY, kills - first)
        drawn = draws(seed + number, count, kinds=kinds, seconds=seconds)
        folder = root / f"seed-{seed + number}"
        result = disturb(folder, seed + number, drawn, expected)
        wrong = len(result.differences)
        _say(f"seed {result.seed}: {result.seconds:.0f} s, {wrong or 'no'} differences")
        if keep and wrong:
            shutil.copytree(folder, keep / folder.name, dirs_exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        yield result


def text(results: Sequence[Result], command: str) -> Iterator[str]:
    """Yield the lines of the page."""
    kills = [row for result in results for row in result.rows]
    equal = sum(not result.differences for result in results)
    yield f"# A study that is killed again and again\n\n    {command}\n"
    yield f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}.\n"
    yield f"{len(kills)} kills with -9, in {len(results)} studies of {RUNS} runs. Studies that"
    yield f"ended equal to an undisturbed one: {equal} of {len(results)}. The reports in md, csv"
    yield "and json are compared byte for byte but for ids, seconds, dates and memory; in MLflow"
    yield "every run with all its points is to be there once.\n"
    yield "| killed | kills | kills that cost a run, which was begun anew |"
    yield "| --- | ---: | ---: |"
    for kind, title in KINDS.items():
        of_kind = [row for row in kills if row.kill.kind == kind]
        if of_kind:
            yield f"| {title} | {len(of_kind)} | {sum(bool(row.resumed) for row in of_kind)} |"
    yield "\n## Differences\n"
    said = [f"Seed {r.seed}:\n\n{_quoted(r.differences)}\n" for r in results if r.differences]
    yield from said or ["None.\n"]
    yield from _every_kill(results)


def _every_kill(results: Sequence[Result]) -> Iterator[str]:
    yield "## Every kill\n"
    yield "The second of the study; how many runs launchers had reported as finished by then; the"
    yield "run that was running and was begun anew, if it was in MLflow already.\n"
    yield "| seed | second | killed | runs finished | begun anew | study equal |"
    yield "| ---: | ---: | --- | ---: | --- | --- |"
    for result in results:
        for row in result.rows:
            kill, names = row.kill, "; ".join(row.resumed)
            equal = "no" if result.differences else "yes"
            cells = (result.seed, f"{kill.second:.1f}", KINDS[kill.kind], kill.done, names, equal)
            yield f"| {' | '.join(map(str, cells))} |"


def _quoted(lines: Sequence[str]) -> str:
    return "\n".join(f"    {part}" for line in lines for part in line.splitlines())


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Do a series, print its page; return 1 if anything differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="of the first study")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--output", type=Path, help="file to write the page to as well")
    parser.add_argument("--keep", type=Path, help="folder for studies that differ")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as root:
        results = list(
            series(
                Path(root), kills=words.kills, seed=words.seed, kinds=words.kinds, keep=words.keep
            )
        )
    command = shlex.join(["python", "-m", "bench.chaos", *sys.argv[1:]])
    page = "\n".join(text(results, command)) + "\n"
    if words.output:
        words.output.write_text(page, encoding="utf-8")
    print(page, end="")
    return int(any(result.differences for result in results))


if __name__ == "__main__":
    sys.exit(main())
