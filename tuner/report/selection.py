"""Choose the runs that a report compares from all the runs of its studies."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from tuner.report.planned import ENDED, Name, PlannedCell, SeedKey, seeds_of
from tuner.report.searches import SearchProgress, Trial, read_search
from tuner.store import RunRecord

Why = Literal["definition", "choice", "open", "seeds", "cell", "trials", "finalists"]
"""Why a run is not shown: it is of another definition of its cell, of a configuration that is not
the best, of an unfinished search, of a seed or a cell that the study no longer has, of a trial
beyond the budget, or of one that is no finalist any more."""
_UNDONE: dict[str, str] = {
    "killed": "the study was stopped",
    "running": "the study is running, or its process died",
}


@dataclass(frozen=True)
class ComparedCell:
    """The confirm runs of one cell, and the search that chose their configuration."""

    study: str
    task: str
    model: str
    arm: str
    """The arm's label: its name, and the study's where two studies share it."""
    planned: PlannedCell
    """The cell as its study defines it."""
    finished: tuple[RunRecord, ...]
    """One a seed, in the order of the seeds."""
    failed: tuple[RunRecord, ...]
    """Runs that failed or diverged, of seeds that never finished, one a seed."""
    left_out: int
    """Confirm runs of the cell that are not of its present definition."""
    search: SearchProgress
    """Of this definition of the cell."""
    reason: str = ""
    """Why confirm runs are missing, in a few words, where that is known."""

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """All runs that a table shows."""
        return (*self.finished, *self.failed)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Of the budget, by number."""
        return self.search.trials

    @property
    def searched_fields(self) -> frozenset[str]:
        """Names of the params that the search varies."""
        if self.planned.latest is None:
            return self.planned.space
        tried = [run.params for trial in self.trials for run in trial.runs]
        names = {name for params in tried for name in params}
        return frozenset(n for n in names if len({params.get(n) for params in tried}) > 1)

    @property
    def parent_id(self) -> str:
        """The tracker's run of the configuration; empty where nothing has been run."""
        return self.runs[-1].parent_id if self.runs else ""

    @property
    def method(self) -> str:
        """The method's kind."""
        found = (run.params["method.kind"] for run in self.runs if run.params)
        return next(found, self.planned.method)

    def by_seeds(self) -> dict[SeedKey, RunRecord]:
        """Return the finished runs by their seeds."""
        return {seeds_of(run): run for run in self.finished}

    def values(self, name: str) -> list[float]:
        """Return a metric of the finished runs that have it, in the order of seeds."""
        return [run.metrics[name] for run in self.finished if name in run.metrics]


@dataclass(frozen=True)
class Block:
    """The cells of one task and model, which are compared with each other."""

    task: str
    model: str
    cells: tuple[ComparedCell, ...]
    """By arm."""

    @property
    def begun(self) -> tuple[ComparedCell, ...]:
        """The cells that have runs; tables show the others as not run."""
        return tuple(cell for cell in self.cells if cell.runs)


@dataclass(frozen=True)
class LeftOut:
    """A run that the store holds and no table shows."""

    run: RunRecord
    why: Why


@dataclass(frozen=True)
class Selection:
    """The runs that a report shows, and those that it leaves out."""

    blocks: list[Block]
    left_out: list[LeftOut] = field(default_factory=list)


def select(records: Sequence[RunRecord], planned: Sequence[PlannedCell]) -> Selection:
    """Choose of all records those that planned cells define; sorted by task, model and arm."""
    of_cell: defaultdict[Name, list[RunRecord]] = defaultdict(list)
    # Sorted first, so that no result depends on the given order.
    for record in map(_finite, sorted(records, key=_order)):
        group = record.group
        of_cell[group.study, group.task, group.model, group.arm].append(record)
    shared = Counter(cell.name[1:] for cell in planned)
    stopped = _stopped(records, planned)
    blocks: defaultdict[tuple[str, str], list[ComparedCell]] = defaultdict(list)
    left_out: list[LeftOut] = []
    for cell in planned:
        found = of_cell.pop(cell.name, [])
        search = read_search(cell, [run for run in found if run.group.cell == cell.fingerprint])
        others = list(_left_out(cell, search, found))
        label = f"{cell.arm} [{cell.study}]" if shared[cell.name[1:]] > 1 else cell.arm
        made = _compared(cell, search, found, others, label)
        reason = _lacking(made, cell.ended or stopped.get(cell.study, ""))
        blocks[cell.task, cell.model].append(replace(made, reason=reason))
        left_out += others
    # Where a definition is not known, a cell without a confirm run is none of its own.
    known = {cell.study for cell in planned if cell.latest is None}
    for name, found in sorted(of_cell.items()):
        if name[0] in known:
            left_out += [LeftOut(run, "cell") for run in found if run.state in ENDED]
    tables = [
        Block(task, model, tuple(sorted(cells, key=lambda cell: cell.arm)))
        for (task, model), cells in sorted(blocks.items())
    ]
    return Selection(tables, left_out)


def _compared(
    cell: PlannedCell,
    search: SearchProgress,
    records: Sequence[RunRecord],
    others: Sequence[LeftOut],
    label: str,
) -> ComparedCell:
    finished: dict[SeedKey, RunRecord] = {}
    failed: dict[SeedKey, RunRecord] = {}
    for run in records:
        confirms = run.group.phase == "confirm" and run.state in ENDED
        if confirms and _why_not(cell, search, run) is None:
            # A resumed study may have two runs of a seed: the later one counts.
            (finished if run.state == "finished" else failed)[seeds_of(run)] = run
    return ComparedCell(
        cell.study,
        cell.task,
        cell.model,
        label,
        planned=cell,
        finished=tuple(finished.values()),
        failed=tuple(run for seeds, run in failed.items() if seeds not in finished),
        left_out=sum(other.run.group.phase == "confirm" for other in others),
        search=search,
    )


def _lacking(cell: ComparedCell, ended: str) -> str:
    """Return why a cell lacks confirm runs: its fault, or how its search and its study ended."""
    if len(cell.runs) >= len(cell.planned.seeds):
        return ""
    searched = "" if cell.runs else cell.search.why_unconfirmed(cell.planned)
    return cell.planned.fault or "; ".join(filter(None, (searched, ended)))


def _stopped(records: Sequence[RunRecord], planned: Sequence[PlannedCell]) -> Mapping[str, str]:
    """Return, for each study whose last run did not end, what happened to the study.

    A study is left out if its last run is of another definition: this one was not begun since.
    """
    own = {(cell.study, cell.fingerprint) for cell in planned}
    last: dict[str, RunRecord] = {}
    for run in sorted(records, key=lambda run: (run.start, run.run_id)):
        last[run.group.study] = run
    return {
        study: _UNDONE[run.state]
        for study, run in last.items()
        if run.state in _UNDONE and (study, run.group.cell) in own
    }


def _left_out(
    cell: PlannedCell, search: SearchProgress, records: Sequence[RunRecord]
) -> Iterator[LeftOut]:
    for run in records:
        why = _why_not(cell, search, run)
        if why is not None and run.state in ENDED:
            yield LeftOut(run, why)


def _why_not(cell: PlannedCell, search: SearchProgress, run: RunRecord) -> Why | None:
    """Return why a run of a cell is left out; None where it belongs to the cell's definition."""
    group = run.group
    if group.cell != cell.fingerprint:
        return "definition"
    if group.phase == "search":
        return "trials" if group.trial in search.beyond else None
    if group.phase == "finalists":
        return None if run in search.finalist_runs else "finalists"
    if cell.save is not None and run.params.get("save", cell.save) != cell.save:
        return "definition"  # its model was kept otherwise: the study runs it again
    if seeds_of(run) not in cell.seeds:
        return "seeds"
    if not search.decided:
        return "open"
    if group.trial != search.chosen:
        return "choice"
    return None


def _finite(record: RunRecord) -> RunRecord:
    """Leave out metrics that are no number, as of a run that diverged: they have no mean."""
    if all(map(math.isfinite, record.metrics.values())):
        return record
    kept = {name: value for name, value in record.metrics.items() if math.isfinite(value)}
    return record.model_copy(update={"metrics": kept})


def _order(record: RunRecord) -> tuple[int, int, int, float, str]:
    return (*seeds_of(record), record.start, record.run_id)
