"""Show a study's progress while it runs: a live table at a terminal, lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import timedelta

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from tuner.config import Cell, Phase
from tuner.study import RunNotice

_STYLES = {"finished": "green", "pruned": "yellow", "diverged": "yellow", "failed": "red"}


class LiveView:
    """Counts runs and shows the running ones. `watch` may be called from any thread."""

    def __init__(self, console: Console, cells: Sequence[Cell], *, workers: int) -> None:
        self._console = console
        self._workers = workers
        self._metric = f"validation/{cells[0].study.metric}"
        self._left = {(c.label, phase): n for c in cells for phase, n in _planned_runs(c).items()}
        self._total = sum(self._left.values())
        self._seconds: list[float] = []
        self._going: dict[tuple[str, str, int | None, int | None], dict[str, str]] = {}
        self._best: dict[str, float] = {}
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
            row = self._going.pop(key, {})
            self._count(notice)
            if not notice.reused and notice.seed is not None:
                self._seconds.append(notice.seconds)
        self._print(notice, row)

    def _count(self, notice: RunNotice) -> None:
        label = notice.cell.label
        # The phases before it have ended, maybe in an earlier call.
        if notice.phase != "search":
            self._left[label, "search"] = 0
        if notice.phase == "confirm":
            self._left[label, "finalists"] = 0
        self._left[label, notice.phase] = max(0, self._left[label, notice.phase] - notice.runs)

    def _note(self, row: dict[str, str], notice: RunNotice) -> None:
        event = notice.event
        if event is None:
            return
        row["epoch"] = f"{event.epoch:.1f}/{notice.epochs}"
        if "train/loss" in event.metrics:
            row["loss"] = f"{event.metrics['train/loss']:.3f}"
        if self._metric in event.metrics:
            row["metric"] = f"{event.metrics[self._metric]:.3f}"

    def _print(self, notice: RunNotice, row: dict[str, str]) -> None:
        style = _STYLES[notice.state]
        again = " (found)" if notice.reused else ""
        kept = notice.scores.get(self._metric)
        shown = row.get("metric") if kept is None else f"{kept:.3f}"
        score = f"{self._metric} {shown}" if shown else ""
        ended = [score] if notice.state == "finished" or not notice.reason else []
        said = ", ".join(filter(None, [*ended, notice.reason]))
        run = _run_name(notice.phase, notice.trial, notice.seed)
        seconds = "" if notice.seed is None else f"{notice.seconds:.1f} s  "
        line = (
            f"[{style}]{notice.state:8}[/{style}]{again} {_plain(notice.cell.label)}  "
            f"{run}  {seconds}{_plain(said)}"
        )
        self._console.print(line, highlight=False, soft_wrap=True)

    def _render(self) -> RenderableType:
        with self._lock:
            table = Table(box=None, padding=(0, 2), header_style="dim")
            for name in ("cell", "run", "epoch", "loss", self._metric):
                table.add_column(_plain(name))
            for (label, phase, trial, seed), row in self._going.items():
                table.add_row(
                    _plain(label),
                    _run_name(phase, trial, seed),
                    row.get("epoch", "loading"),
                    row.get("loss", ""),
                    row.get("metric", ""),
                )
            left = sum(self._left.values())
            done = self._total - left
            spent = timedelta(seconds=int(time.monotonic() - self._started))
            bar = ProgressBar(total=self._total, completed=done, width=30)
            foot = Table(box=None, padding=(0, 2), show_header=False)
            foot.add_row(
                bar, f"{done}/{self._total} runs", f"{spent} spent", self._time_left(left)
            )
            return Group(table, foot)

    def _time_left(self, runs: int) -> str:
        if not self._seconds:
            return "time left unknown"
        mean = sum(self._seconds) / len(self._seconds)
        return f"about {timedelta(seconds=int(mean * runs / self._workers))} left"


def _planned_runs(cell: Cell) -> dict[Phase, int]:
    search = cell.study.search
    searching = search.trials * len(search.seeds) if cell.searched else 0
    deciding = cell.study.finalist_runs() if cell.searched else 0
    confirming = len(cell.study.confirm.seeds)
    return {"search": searching, "finalists": deciding, "confirm": confirming}


def _run_name(phase: str, trial: int | None, seed: int | None) -> str:
    name = {"search": f"trial {trial}", "finalists": f"finalist {trial}"}.get(phase, phase)
    return name if seed is None else f"{name}, seed {seed}"


def _plain(text: str) -> str:
    """Keep brackets in names from being read as rich's markup."""
    return text.replace("[", r"\[")
