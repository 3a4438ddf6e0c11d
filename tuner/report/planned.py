"""Define which runs a study's cells should have, and read how far their searches have come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tuner.config import Cell, Definition, Digests, Dimension, Objective, StudyConfig, cell_label
from tuner.store import LoggedTrial, RunRecord, search_name

SeedKey = tuple[int, int, int]
"""Init, order and data seed."""
ENDED = ("finished", "pruned", "diverged", "failed")
"""States of runs that are not done again."""
Name = tuple[str, str, str, str]
"""Study, task, model, arm."""


@dataclass(frozen=True)
class PlannedCell:
    """A cell as its study defines it: the facts that identify its runs."""

    study: str
    task: str
    model: str
    arm: str
    fingerprint: str
    """Of its settings, its space and its data."""
    method: str = ""
    """The method's kind."""
    seeds: tuple[SeedKey, ...] = ()
    """Of the confirm runs."""
    save: str | None = None
    """The param `save` of the confirm runs; None: any."""
    trials: int = 0
    """Budget of the search; 0: the arm has no space."""
    search_seeds: int = 1
    """Runs of a trial."""
    finalists: int = 0
    """Most trials that fresh seeds decide between; 0: the best trial is confirmed at once."""
    finalist_seeds: tuple[SeedKey, ...] = ()
    """Of the finalists' runs."""
    objectives: tuple[Objective, ...] = ()
    """The objectives of the search."""
    space: frozenset[str] = frozenset()
    """Names of the params that the search varies."""
    ranges: Mapping[str, Dimension] = field(default_factory=dict, compare=False)
    """What it varies them over."""
    config: StudyConfig | None = field(default=None, compare=False, repr=False)
    """The study."""
    fault: str = field(default="", compare=False)
    """Why the cell was given up, where that is known."""
    ended: str = field(default="", compare=False)
    """Why its study's last call ended before all was done, where that is known."""
    tried: int = field(default=0, compare=False)
    """Trials of its search that had ended as the study's last call did, where that is known."""
    chose: int | None = field(default=None, compare=False)
    """Number of the trial that the search chose, where a launcher noted it."""
    log: tuple[LoggedTrial, ...] = field(default=(), compare=False)
    """The search as Optuna has it, deleted runs included; empty where the journal is not read."""
    core: str = field(default="", compare=False)
    """The fingerprint that it would have without its data."""
    data: Digests = field(default_factory=dict, compare=False)
    """Digests of the rows, by data seed."""
    latest: RunRecord | None = None
    """Where the definition is not known: the last confirm run, whose configuration counts."""

    @property
    def name(self) -> Name:
        """Study, task, model, arm."""
        return self.study, self.task, self.model, self.arm

    @property
    def search_name(self) -> str:
        """Name of its search in Optuna."""
        label = cell_label(self.task, self.model, self.arm)
        return search_name(self.study, label, self.fingerprint)


def planned_cells(definition: Definition) -> tuple[PlannedCell, ...]:
    """List the cells of a definition."""
    return tuple(
        replace(
            _planned(cell, definition.fingerprint(cell)),
            fault=definition.faults.get(cell.label, ""),
            ended=definition.ended,
            tried=definition.tried.get(cell.label, 0),
            chose=definition.chosen.get(cell.label),
        )
        for cell in definition.cells()
    )


def plan_cell(cell: Cell) -> PlannedCell:
    """Return a cell as it is planned."""
    return _planned(cell, cell.fingerprint())


def latest_cells(records: Sequence[RunRecord]) -> tuple[PlannedCell, ...]:
    """Derive the cells from their last confirm runs, where no definition is known."""
    found: defaultdict[Name, list[RunRecord]] = defaultdict(list)
    for record in records:
        if record.group.phase == "confirm":
            group = record.group
            found[group.study, group.task, group.model, group.arm].append(record)
    cells = []
    for name, runs in sorted(found.items()):
        last = max(runs, key=lambda run: (run.start, run.run_id))
        seeds = {seeds_of(run) for run in runs if run.group == last.group}
        cells.append(PlannedCell(*name, last.group.cell, seeds=tuple(sorted(seeds)), latest=last))
    return tuple(cells)


def seeds_of(run: RunRecord) -> SeedKey:
    """Return a run's three seeds."""
    return run.seeds.init, run.seeds.order, run.seeds.data


def seed_text(seeds: SeedKey) -> str:
    """Return init/order/data."""
    return "/".join(map(str, seeds))


def _planned(cell: Cell, fingerprint: str) -> PlannedCell:
    study = cell.study
    arm = study.arms[cell.arm]
    finalist_seeds = study.finalist_seeds() if cell.searched else ()
    return PlannedCell(
        study.name,
        cell.task,
        cell.model,
        cell.arm,
        fingerprint,
        method=arm.method.kind,
        seeds=tuple((s.init, s.order, s.data) for s in study.confirm.seeds),
        finalists=study.search.finalists.count if finalist_seeds else 0,
        finalist_seeds=tuple((s.init, s.order, s.data) for s in finalist_seeds),
        save=str(cell.keeper),
        trials=study.search.trials if cell.searched else 0,
        search_seeds=len(study.search.seeds),
        objectives=study.objectives(),
        space=frozenset(arm.space),
        ranges=arm.space,
        config=study,
        core=replace(cell, data={}).fingerprint(),
        data=cell.data,
    )
