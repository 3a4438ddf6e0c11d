"""Define which runs a study's cells should have, and read how far their searches have come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from trainers.errors import ConfigError
from tuner.config import Cell, Definition, Digests, Objective, cell_label
from tuner.report.wording import counted
from tuner.store import LoggedTrial, RunRecord, search_name

SeedKey = tuple[int, int, int]
"""Init, order and data seed."""
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
    objectives: tuple[Objective, ...] = ()
    """The objectives of the search."""
    space: frozenset[str] = frozenset()
    """Names of the params that the search varies."""
    fault: str = field(default="", compare=False)
    """Why the cell was given up, where that is known."""
    ended: str = field(default="", compare=False)
    """Why its study's last call ended before all was done, where that is known."""
    tried: int = field(default=0, compare=False)
    """Trials of its search that had ended as the study's last call did, where that is known."""
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
    return PlannedCell(
        study.name,
        cell.task,
        cell.model,
        cell.arm,
        fingerprint,
        method=arm.method.kind,
        seeds=tuple((s.init, s.order, s.data) for s in study.confirm.seeds),
        save=str(cell.keeper),
        trials=study.search.trials if cell.searched else 0,
        search_seeds=len(study.search.seeds),
        objectives=study.objectives(),
        space=frozenset(arm.space),
        core=replace(cell, data={}).fingerprint(),
        data=cell.data,
    )


@dataclass(frozen=True)
class Trial:
    """A configuration that the search tried, with its runs in the order of seeds."""

    number: int
    runs: tuple[RunRecord, ...]

    @property
    def state(self) -> str:
        """How the first run that did not finish ended; pruned where it was between its seeds."""
        states = (run.state for run in self.runs if run.state != "finished")
        pruned = any(run.group_state == "pruned" for run in self.runs)
        return next(states, "pruned" if pruned else "finished")

    @property
    def reason(self) -> str:
        """Why it is not finished; empty where it is."""
        spared = f"pruned after {counted(len(self.runs), 'seed')}"
        reasons = (run.reason for run in self.runs if run.reason)
        return next(reasons, spared if self.state == "pruned" else "")

    @property
    def counts(self) -> bool:
        """Whether it ended, and so counts as a part of the budget.

        It does not if it was interrupted, or failed for a reason that fails every run of its cell.
        """
        interrupted = any(run.group_state == "killed" for run in self.runs)
        return not interrupted and self.state in ("finished", "pruned", "diverged", "failed")

    def lacks(self, runs: int) -> bool:
        """Return whether it has finished on too few seeds: it may still be running."""
        return self.state == "finished" and len(self.runs) < runs


@dataclass(frozen=True)
class SearchProgress:
    """How far the search of a cell has come."""

    trials: tuple[Trial, ...] = ()
    """Of the budget, by number; those that were interrupted too."""
    beyond: frozenset[int] = frozenset()
    """Numbers of trials that were done when the budget was larger."""
    counted: int = 0
    """Trials of the budget that came to an end, with or without a record."""
    lost: int = 0
    """Trials of the budget whose runs were deleted from the store."""
    spent: bool = True
    """Whether the budget is spent; only then is a configuration chosen."""
    chosen: int | None = None
    """Number of the trial that is confirmed; None: the arm is not searched, or none finished."""

    @property
    def different(self) -> list[Trial]:
        """One ended trial of each point: a repeated point is not trained again."""
        ended = sorted(
            (trial for trial in self.trials if trial.counts),
            key=lambda trial: (trial.state != "finished", trial.number),
        )
        seen: set[str] = set()
        kept: list[Trial] = []
        for trial in ended:
            digests = {run.digest for run in trial.runs}
            if seen.isdisjoint(digests):
                kept.append(trial)
            seen |= digests
        return sorted(kept, key=lambda trial: trial.number)

    @property
    def points(self) -> int:
        """Different points of the trials that are counted; one whose runs are gone counts."""
        repeats = sum(trial.counts for trial in self.trials) - len(self.different)
        return self.counted - repeats

    def why_unconfirmed(self, cell: PlannedCell) -> str:
        """Return why nothing is confirmed; empty where the reason is not known."""
        if not cell.trials:
            return ""
        if not self.spent:
            last = self.trials[-1] if self.trials else Trial(0, ())
            failed = f"; the last failed: {last.runs[-1].reason}" if last.state == "failed" else ""
            return f"{self.counted} of {counted(cell.trials, 'trial')} searched{failed}"
        done = counted(self.counted, "trial")
        return f"{done} searched, " + ("none finished" if self.chosen is None else "not confirmed")


def read_search(cell: PlannedCell, records: Sequence[RunRecord]) -> SearchProgress:
    """Read a cell's search from the records of its definition, in the order of seeds and time.

    The budget's trials are the first that ended. Trials are numbered one by one: where a number
    is missing, the runs of its trial were deleted, and the trial counts all the same. So do trials
    that are missing at the end, if a launcher recorded how many there were.
    """
    trials = trials_of(records)
    if cell.latest is not None:
        counted_trials = sum(trial.counts for trial in trials.values())
        chosen = cell.latest.group.trial
        return SearchProgress(tuple(trials.values()), counted=counted_trials, chosen=chosen)
    if not cell.trials:
        return SearchProgress()
    if any(logged.ended and logged.number not in trials for logged in cell.log[: cell.trials]):
        return _from_log(cell, trials)
    confirms = [run for run in records if run.group.phase == "confirm"]
    confirmed = {run.group.trial: run for run in confirms if run.group.trial is not None}
    numbers = range(max([*trials, *confirmed], default=-1) + 1)
    kept: list[Trial] = []
    lost: list[int] = []
    beyond: set[int] = set()
    ended = 0
    for number in numbers:
        trial = trials.get(number)
        if ended == cell.trials:
            beyond.add(number)
            continue
        if trial is None:
            lost.append(number)
        else:
            kept.append(trial)
            going_on = not confirms and number == numbers[-1] and trial.lacks(cell.search_seeds)
            if going_on or not trial.counts:
                continue
        ended += 1
    unseen = max(0, min(cell.tried, cell.trials) - ended)
    ended, gone = ended + unseen, len(lost) + unseen
    deleted = [confirmed[number] for number in lost if number in confirmed]
    if deleted:  # the best trial's own runs are gone; its confirm runs show that it was the best
        chosen = max(deleted, key=lambda run: (run.start, run.run_id)).group.trial
        return SearchProgress(tuple(kept), frozenset(beyond), ended, gone, chosen=chosen)
    best = best_trial(kept, cell.objectives, runs=cell.search_seeds)
    spent = ended == cell.trials
    return SearchProgress(tuple(kept), frozenset(beyond), ended, gone, spent, best)


def _from_log(cell: PlannedCell, trials: Mapping[int, Trial]) -> SearchProgress:
    """Read a search of which some trials' runs were deleted: Optuna knows them all."""
    log = cell.log[: cell.trials]
    ended = [logged for logged in log if logged.ended]
    last = log[-1].number
    spent = len(ended) == cell.trials
    signs = [-1.0 if aim.way() == "maximize" else 1.0 for aim in cell.objectives]
    costs = [
        (tuple(sign * value for sign, value in zip(signs, logged.values, strict=True)), logged)
        for logged in ended
        if logged.values
    ]
    best = min(costs, key=lambda one: (one[0], one[1].number), default=None)
    return SearchProgress(
        tuple(trial for number, trial in trials.items() if number <= last),
        frozenset(number for number in trials if number > last and len(log) == cell.trials),
        counted=len(ended),
        lost=sum(logged.number not in trials for logged in ended),
        spent=spent,
        chosen=best[1].number if spent and best else None,
    )


def trials_of(records: Sequence[RunRecord]) -> dict[int, Trial]:
    """Return the trials of a search by number; of each seed the last run."""
    found: defaultdict[int, dict[SeedKey, RunRecord]] = defaultdict(dict)
    for record in records:
        group = record.group
        if group.phase == "search" and group.trial is not None:
            # A trial that was resumed may have two runs of a seed: the later one counts.
            found[group.trial][seeds_of(record)] = record
    return {number: Trial(number, tuple(runs.values())) for number, runs in sorted(found.items())}


def best_trial(
    trials: Sequence[Trial], objectives: Sequence[Objective], *, runs: int
) -> int | None:
    """Return the number of the trial that the search chooses: see `tuner.study.trials.best_of`.

    Args:
        trials: Of the budget.
        objectives: The objectives of the search.
        runs: Of a trial that was not pruned.
    """
    found = []
    for trial in trials:
        if trial.state == "finished" and not trial.lacks(runs):
            costs = tuple(_cost(trial, objective) for objective in objectives)
            if None not in costs:
                found.append((costs, trial.number))
    return min(found, default=((), None))[1]


def _cost(trial: Trial, objective: Objective) -> float | None:
    """Return the value to minimise: the mean over the trial's runs, negated to be maximised."""
    values = []
    for run in trial.runs:
        try:
            values.append(objective.of(run.metrics))
        except ConfigError:
            return None
    return fmean(values) * (-1.0 if objective.way() == "maximize" else 1.0)
