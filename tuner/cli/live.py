"""Show a study's progress while it runs: a line a run, and at a terminal a foot that changes."""

from __future__ import annotations

import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from statistics import fmean

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuner.config import Cell, Phase
from tuner.report import counted, higher_is_better, short_number, title, value_text
from tuner.study import RunNotice

_STYLES = {"pruned": "yellow", "diverged": "red", "failed": "red", "killed": "red"}
_SHORT = {"train.learning_rate": "lr", "train.batch_size": "batch"}
_JOINT = "\N{NO-BREAK SPACE}"
"""Stands for a space at which no line is broken, as within `lr 4.7e-4`."""
_PHASES: tuple[Phase, ...] = ("search", "finalists", "confirm")


class LiveView:
    """Counts runs and shows the running ones. `watch` may be called from any thread."""

    def __init__(self, console: Console, cells: Sequence[Cell], *, workers: int) -> None:
        self._console = console
        self._workers = workers
        self._study = cells[0].study
        self._several = len({(cell.task, cell.model) for cell in cells}) > 1
        self._left = {(c.label, phase): n for c in cells for phase, n in _planned_runs(c).items()}
        self._planned = Counter[str]()
        for (_, phase), count in self._left.items():
            self._planned[phase] += count
        self._seconds: list[float] = []
        self._going: dict[tuple[str, str, int | None, int | None], dict[str, str]] = {}
        self._scores: dict[tuple[str, str, int | None], list[float]] = {}
        self._best: dict[str, float] = {}
        self._states = Counter[str]()
        self._trials: dict[tuple[str, int | None], str] = {}
        self._lock = threading.RLock()
        self._started = time.monotonic()
        self._live = Live(
            get_renderable=self._render, console=console, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> LiveView:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def watch(self, notice: RunNotice) -> None:
        """Take a notice of a run."""
        key = (notice.cell.label, notice.phase, notice.trial, notice.seed)
        with self._lock:
            if notice.state == "running":
                self._note(self._going.setdefault(key, {}), notice)
                return
            self._going.pop(key, None)
            self._count(notice)
            if not notice.reused and notice.seed is not None:
                self._seconds.append(notice.seconds)
            parts = list(self._parts(notice))
        self._print(parts, notice)

    def summary(self) -> str:
        """Return what was done or found, in a line that fits the console."""
        pruned = sum(state == "pruned" for state in self._trials.values())
        deciding = self._states["finalists"]
        parts = [
            f"{counted(len(self._trials), 'trial')} ({pruned} pruned)" * bool(self._trials),
            f"{counted(deciding, 'run')} of finalists" * bool(deciding),
            counted(self._states["confirm"], "confirm run"),
            f"{self._states['failed'] + self._states['diverged']} failed",
            _duration(time.monotonic() - self._started),
        ]
        text = f"{self._study.name}: {', '.join(map(_kept, filter(None, parts)))}"
        return "\n".join(_wrapped(text, self._console.width)).replace(_JOINT, " ")

    def _count(self, notice: RunNotice) -> None:
        label = notice.cell.label
        for phase in _PHASES[: _PHASES.index(notice.phase)]:
            self._left[label, phase] = 0  # it has ended, maybe in an earlier call
        self._left[label, notice.phase] = max(0, self._left[label, notice.phase] - notice.runs)
        self._states[notice.state] += 1
        if notice.phase == "search":
            self._trials[label, notice.trial] = notice.state
        else:
            self._states[notice.phase] += 1

    def _note(self, row: dict[str, str], notice: RunNotice) -> None:
        event = notice.event
        if event is None:
            return
        row["epoch"] = f"{event.epoch:.1f}/{notice.epochs}"
        if "train/loss" in event.metrics:
            row["loss"] = f"{event.metrics['train/loss']:.3f}"
        name = f"validation/{self._study.metric}"
        if name in event.metrics:
            row["metric"] = value_text(event.metrics[name], self._study.metric)

    def _parts(self, notice: RunNotice) -> Iterator[str]:
        """Yield the parts of a run's line; only the reason may be broken, between its words.

        They are its name, the chosen values, its score, the best or the mean so far, its seconds.
        """
        yield _kept(f"{self._name(notice.cell)} {_run_name(notice)}")
        for name, value in notice.values.items():
            yield _kept(f"{_SHORT.get(name, name.rpartition('.')[2])} {short_number(value)}")
        if notice.state == "finished":
            yield from map(_kept, self._score(notice))
            reason = notice.reason
        else:
            known = notice.reason.startswith(notice.state)
            reason = notice.reason if known else f"{notice.state}: {notice.reason}".rstrip(": ")
        if reason:
            yield reason
        if notice.reused:
            yield "(found)"
        elif notice.seed is not None:
            yield _kept(f"{notice.seconds:.1f} s")

    def _score(self, notice: RunNotice) -> Iterator[str]:
        """Yield a run's score on validation, or of a confirm run on test, and what it makes."""
        metric, confirms = self._study.metric, notice.phase == "confirm"
        split = "test" if confirms else "validation"
        score = notice.scores.get(f"{split}/{metric}")
        if score is None:
            return
        yield f"{'test ' * confirms}{title(metric)} {value_text(score, metric)}"
        configuration = notice.trial if notice.phase == "finalists" else None
        found = self._scores.setdefault((notice.cell.label, notice.phase, configuration), [])
        found.append(score)
        if notice.phase == "search":
            best = (max if higher_is_better(metric) else min)(found)
            self._best[notice.cell.label] = best
            yield f"best {value_text(best, metric)}"
        else:
            yield f"mean {value_text(fmean(found), metric)} of {len(found)}"
        if confirms:
            self._best[notice.cell.label] = fmean(found)

    def _print(self, parts: Sequence[str], notice: RunNotice) -> None:
        terminal = self._console.is_terminal
        text = "  ".join(parts)
        lines = _wrapped(text, self._console.width) if terminal else [_clocked(text)]
        for line in lines:
            shown = Text(line.replace(_JOINT, " "), style=_STYLES.get(notice.state, ""))
            self._console.print(shown, soft_wrap=True)

    def _name(self, cell: Cell) -> str:
        return f"{cell.task} · {cell.model} · {cell.arm}" if self._several else cell.arm

    def _render(self) -> RenderableType:
        with self._lock:
            table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
            table.add_column("running", overflow="fold")
            for name in ("epoch", "loss", title(self._study.metric)):
                table.add_column(Text(name), justify="right", no_wrap=True)
            for (label, phase, trial, seed), row in self._going.items():
                table.add_row(
                    Text(f"{label} {_short_name(phase, trial, seed)}"),
                    row.get("epoch", "loading"),
                    row.get("loss", ""),
                    row.get("metric", ""),
                )
            return Group(table, *self._foot())

    def _foot(self) -> Iterator[RenderableType]:
        """Yield the tally: all runs, those of each phase, the best of each arm."""
        left, total = sum(self._left.values()), sum(self._planned.values())
        spent = timedelta(seconds=int(time.monotonic() - self._started))
        bar = ProgressBar(total=total, completed=total - left, width=16)
        foot = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        foot.add_row(
            bar, f"{total - left} of {total} runs", f"{spent} spent", self._time_left(left)
        )
        yield foot
        tally = [
            f"{phase} {planned - self._left_in(phase)} of {planned}"
            for phase in _PHASES
            if (planned := self._planned[phase])
        ]
        tally += [f"{self._states[s]} {s}" for s in _STYLES if self._states[s]]
        metric = self._study.metric
        sign = -1 if higher_is_better(metric) else 1
        ordered = sorted(self._best.items(), key=lambda one: sign * one[1])
        names = {
            label: label if self._several else label.rpartition(" / ")[2] for label, _ in ordered
        }
        best = [f"{names[label]} {value_text(score, metric)}" for label, score in ordered]
        for name, parts in (("", tally), ("best: ", best)):
            text = name + "  ".join(map(_kept, parts))
            for line in _wrapped(text, self._console.width) if parts else ():
                yield Text(line.replace(_JOINT, " "), style="dim")

    def _left_in(self, phase: str) -> int:
        return sum(count for (_, one), count in self._left.items() if one == phase)

    def _time_left(self, runs: int) -> str:
        if not self._seconds:
            return "time left unknown"
        mean = fmean(self._seconds)
        return f"about {timedelta(seconds=int(mean * runs / self._workers))} left"


def _planned_runs(cell: Cell) -> dict[Phase, int]:
    search = cell.study.search
    searching = search.trials * len(search.seeds) if cell.searched else 0
    deciding = cell.study.finalist_runs() if cell.searched else 0
    confirming = len(cell.study.confirm.seeds)
    return {"search": searching, "finalists": deciding, "confirm": confirming}


def _run_name(notice: RunNotice) -> str:
    single = notice.phase == "search" and len(notice.cell.study.search.seeds) == 1
    return _short_name(notice.phase, notice.trial, None if single else notice.seed)


def _short_name(phase: str, trial: int | None, seed: int | None) -> str:
    name = {"search": f"trial {trial}", "finalists": f"finalist {trial}"}.get(phase, phase)
    return name if seed is None else f"{name} seed {seed}"


def _wrapped(text: str, width: int) -> list[str]:
    """Break a text into lines at its spaces alone."""
    return textwrap.wrap(
        text, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def _kept(part: str) -> str:
    """Return a part of a line that is not to be broken."""
    return part.replace(" ", _JOINT)


def _clocked(text: str) -> str:
    return f"{time.strftime('%H:%M:%S')} {text}"


def _duration(seconds: float) -> str:
    """Write seconds as minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
