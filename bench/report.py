"""Time `tuner report` on a large store, beside the plain way of reading one with MLflow.

Run it from the repository root: `python bench/report.py --output docs/results/scale-report.md`.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.large_store import SEARCH_SHARE, make_store
from bench.made_up import CURVES, STUDY, TEST_ROWS
from tuner.tracking import locate_store, open_reader

POINTS = 100
_MIB = 1024
_PLAIN = "plain"


@dataclass(frozen=True)
class Measured:
    """Time and memory of a process."""

    title: str
    seconds: float
    busy: float
    """CPU seconds, which depend less on a busy machine than wall seconds."""
    mebibytes: float
    """Peak resident memory."""


def main(words: Sequence[str] | None = None) -> None:
    """Make a store if there is none, measure, print the table."""
    arguments = _arguments(words)
    if arguments.step:
        _STEPS[arguments.step](arguments)
        return
    texts = []
    for runs in arguments.runs:
        with tempfile.TemporaryDirectory() as scratch:
            texts.append(_measure_store(arguments, runs, Path(scratch)))
    text = "\n".join([_head(arguments), *texts])
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    print(text, end="")


def read_all(store: Path) -> None:
    """Read every run, the confirm runs' curves and the places of their files."""
    reader = open_reader(store)
    runs = reader.runs(STUDY)
    compared = [run.run_id for run in runs if run.group.phase == "confirm"]
    curves = list(reader.curves(compared, CURVES))
    files = [reader.artifact(run_id, "predictions.parquet") for run_id in compared]
    print(len(runs), len(curves), len(files))


def read_plainly(store: Path, *, phases: Sequence[str]) -> None:
    """Read every run, and the curves of some, as in MLflow's documentation."""
    import mlflow

    mlflow.set_tracking_uri(locate_store(store).tracking_uri)
    runs = mlflow.search_runs(experiment_names=[STUDY], max_results=50_000)
    client = mlflow.MlflowClient()
    trained = runs["tags.tuner.phase"].isin(phases) & runs["tags.tuner.digest"].notna()
    found = [
        client.get_metric_history(run_id, name)
        for run_id in runs[trained]["run_id"]
        for name in CURVES
    ]
    print(len(runs), len(found), sum(map(len, found)))


def _make(arguments: argparse.Namespace) -> None:
    (runs,) = arguments.runs
    make_store(arguments.store, runs=runs, points=POINTS, mlflow=runs <= arguments.plain_up_to)


_STEPS: dict[str, Callable[[argparse.Namespace], None]] = {
    "make": _make,
    "read": lambda arguments: read_all(arguments.store),
    "plain": lambda arguments: read_plainly(arguments.store, phases=("confirm",)),
    "plain-all": lambda arguments: read_plainly(arguments.store, phases=("search", "confirm")),
}


def _step(name: str, store: Path) -> list[str]:
    return [sys.executable, "-m", "bench.report", "--store", str(store), "--step", name]


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--runs", type=int, nargs="+", default=[1_000], help="runs of each store to be made"
    )
    parser.add_argument("--store", type=Path, help="make them below this folder and keep them")
    parser.add_argument("--output", type=Path, help="file to write the table to as well")
    parser.add_argument("--repeat", type=int, default=3, help="the fastest of so many counts")
    parser.add_argument(
        "--plain-up-to", type=int, default=1_000, help="leave out the plain way above so many runs"
    )
    parser.add_argument("--step", choices=list(_STEPS), help=argparse.SUPPRESS)
    return parser.parse_args(words)


def _commands(store: Path, output: Path, *, plain: bool) -> list[tuple[str, list[str]]]:
    report = [sys.executable, "-m", "tuner", "report", STUDY, "--store", str(store)]
    commands = [
        ("`tuner report`, Markdown to the terminal", report),
        ("`tuner report --output`, all formats and pictures", [*report, "--output", str(output)]),
        ("of these, reading runs, curves and files' places", _step("read", store)),
    ]
    if plain:
        name = f"{_PLAIN}: `mlflow.search_runs`, then `get_metric_history` for each curve"
        commands.append((f"{name} compared", _step("plain", store)))
        commands.append((f"{name} of every run", _step("plain-all", store)))
    return commands


def _best(repeat: int, title: str, command: Sequence[str]) -> Measured:
    return min((_measure(title, command) for _ in range(repeat)), key=lambda one: one.seconds)


def _measure(title: str, command: Sequence[str]) -> Measured:
    """Run a command as a process of its own, from its start to its end."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{shlex.join(command)}: exit code {process.returncode}")
    busy = usage.ru_utime + usage.ru_stime
    return Measured(title, seconds, busy, usage.ru_maxrss / _MIB)


def _measure_store(arguments: argparse.Namespace, runs: int, scratch: Path) -> str:
    store = ((arguments.store or scratch) / f"{runs}-runs").resolve()
    if not (store / "tuner.db").is_file():
        # In a process of its own: the peak of a process counts as its children's.
        sizes = ["--runs", str(runs), "--plain-up-to", str(arguments.plain_up_to)]
        subprocess.run([*_step("make", store), *sizes], check=True)
    commands = _commands(store, scratch / "report", plain=runs <= arguments.plain_up_to)
    found = [
        _best(1 if title.startswith(_PLAIN) else arguments.repeat, title, command)
        for title, command in commands
    ]
    confirm = round(runs * (1 - SEARCH_SHARE))
    size = (store / "tuner.db").stat().st_size / _MIB**2
    lines = [
        f"## {runs:,} runs",
        "",
        f"{runs - confirm:,} of the search, {confirm:,} that are compared; the journal has",
        f"{size:,.0f} MiB.",
        "",
        "| what | seconds | of them on a processor | peak memory, MiB |",
        "| --- | ---: | ---: | ---: |",
        *(
            f"| {one.title} | {one.seconds:.1f} | {one.busy:.1f} | {one.mebibytes:,.0f} |"
            for one in found
        ),
        "",
    ]
    return "\n".join(lines)


def _head(arguments: argparse.Namespace) -> str:
    sizes = " ".join(map(str, arguments.runs))
    lines = [
        "# Reading and comparing many runs",
        "",
        f"    python bench/report.py --runs {sizes} --repeat {arguments.repeat} "
        f"--plain-up-to {arguments.plain_up_to}",
        "",
        "Stores of 2 tasks x 5 arms: four fifths of the runs are of the search, each under a",
        f"parent of its own, and one fifth is compared. Each run has {len(CURVES)} curves of",
        f"{POINTS} points, each that is compared {TEST_ROWS:,} predictions. Whole processes,",
        f"imports included, the fastest of {arguments.repeat} (plain: one) on"
        f" {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
