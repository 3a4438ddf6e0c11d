"""Count how far studies have come: their runs, and the best arm so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from tuner.report.evidence import Asked
from tuner.report.finding import with_log
from tuner.report.planned import latest_cells
from tuner.report.selection import Block, ComparedCell, select
from tuner.report.wording import higher_is_better
from tuner.store import Reader


@dataclass(frozen=True)
class BestArm:
    """The best arm of a task and model."""

    task: str
    model: str
    arm: str
    score: float
    """Its mean over confirm runs, as a fraction; before there are any, of its best trial."""
    split: Literal["test", "validation"]
    """The rows that it was scored on."""


@dataclass(frozen=True)
class Standing:
    """How far a study has come."""

    study: str
    state: Literal["ended", "running", "stopped"]
    """ended: no run is left to do; stopped: some are, and no launcher does them."""
    done: int
    """Runs of search, finalists and confirm that are done or spared by the pruner."""
    planned: int
    """Runs that its definition asks for."""
    metric: str
    """Metric that arms are compared by."""
    best: tuple[BestArm, ...]
    """By task and model; those without a score are missing."""
    last: float | None
    """When its last run began or ended, in seconds since 1970; None where it has none."""

    @property
    def ended(self) -> bool:
        """Whether no run is left to do."""
        return self.state == "ended"


def standing_of(asked: Asked, reader: Reader) -> Standing:
    """Return how far a study has come.

    Args:
        asked: The study, found by `find_study`.
        reader: The store.
    """
    asked = with_log(asked, reader)
    records = reader.runs(asked.study)
    blocks = select(records, latest_cells(records) if asked.cells is None else asked.cells).blocks
    cells = [cell for block in blocks for cell in block.cells]
    ended = all(cell.planned.fault or _left(cell) == 0 for cell in cells)
    running = not ended and reader.is_running(asked.study)
    metric = asked.metric or next((run.params["metric"] for run in records), "macro_f1")
    return Standing(
        study=asked.study,
        state="ended" if ended else "running" if running else "stopped",
        done=sum(_planned(cell) - _left(cell) for cell in cells),
        planned=sum(map(_planned, cells)),
        metric=metric,
        best=tuple(_best(blocks, metric)),
        last=max((run.end or run.start for run in records), default=None),
    )


def _planned(cell: ComparedCell) -> int:
    planned = cell.planned
    return planned.trials * planned.search_seeds + _finalists(cell) + len(planned.seeds)


def _finalists(cell: ComparedCell) -> int:
    return min(cell.planned.finalists, cell.planned.trials) * len(cell.planned.finalist_seeds)


def _left(cell: ComparedCell) -> int:
    """Return the runs that are left to do; a trial's count as done once it has ended."""
    trials = max(0, cell.planned.trials - cell.search.counted)
    finalists = cell.search.awaited if cell.search.spent else _finalists(cell)
    confirm = max(0, len(cell.planned.seeds) - len(cell.runs))
    return trials * cell.planned.search_seeds + finalists + confirm


def _best(blocks: Sequence[Block], metric: str) -> Iterator[BestArm]:
    choose = max if higher_is_better(metric) else min
    for block in blocks:
        tested = {cell.arm: cell.values(f"test/{metric}") for cell in block.cells}
        scores = {arm: fmean(values) for arm, values in tested.items() if values}
        split: Literal["test", "validation"] = "test"
        if not scores:
            scores, split = _searched(block, metric), "validation"
        if scores:
            arm = choose(scores, key=lambda arm: scores[arm])
            yield BestArm(block.task, block.model, arm, scores[arm], split)


def _searched(block: Block, metric: str) -> dict[str, float]:
    """Return the score of each arm's best finished trial."""
    choose = max if higher_is_better(metric) else min
    name = f"validation/{metric}"
    found = {}
    for cell in block.cells:
        trials = [
            fmean(run.metrics[name] for run in trial.runs)
            for trial in cell.trials
            if trial.state == "finished" and all(name in run.metrics for run in trial.runs)
        ]
        if trials:
            found[cell.arm] = choose(trials)
    return found
