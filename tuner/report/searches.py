"""Read how far the searches of cells have come, and which trials they chose."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from trainers.errors import ConfigError
from tuner.config import Phase, rank_trials
from tuner.report.planned import ENDED, PlannedCell, SeedKey, seeds_of
from tuner.report.wording import counted
from tuner.store import RunRecord


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
    finalists: tuple[Trial, ...] = ()
    """The best trials with their runs on fresh seeds, in the order of the search."""
    awaited: int = 0
    """Runs of finalists that are still to be done; until then no configuration is chosen."""

    @property
    def finalist_runs(self) -> tuple[RunRecord, ...]:
        """The runs of the finalists."""
        return tuple(run for trial in self.finalists for run in trial.runs)

    @property
    def decided(self) -> bool:
        """Whether a configuration is chosen, or none can be."""
        return self.spent and not self.awaited

    @property
    def different(self) -> list[Trial]:
        """One ended trial of each point: a repeated point is not trained again."""
        ended = sorted(
            (trial for trial in self.trials if trial.counts),
            key=lambda trial: (trial.state != "finished", trial.number),
        )
        of_number = {trial.number: trial for trial in ended}
        return [of_number[number] for number in sorted(_first_of_points(of_number, of_number))]

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
        if self.awaited:
            return f"{counted(self.awaited, 'run')} of finalists not done"
        done = counted(self.counted, "trial")
        return f"{done} searched, " + ("none finished" if self.chosen is None else "not confirmed")


def read_search(cell: PlannedCell, records: Sequence[RunRecord]) -> SearchProgress:
    """Read a cell's search and its finalists from the records of its definition.

    Args:
        cell: The cell.
        records: In the order of seeds and time.
    """
    search, ranked = _read_trials(cell, records)
    if cell.finalists < 2 or search.chosen not in ranked or not search.spent:
        return search
    of_points = _first_of_points(ranked, {trial.number: trial for trial in search.trials})
    values = {number: ranked[number] for number in of_points[: cell.finalists]}
    if len(values) < 2:
        return search
    found = trials_of(records, "finalists", cell.finalist_seeds)
    finalists = tuple(found.get(number, Trial(number, ())) for number in values)
    ended = {
        trial.number: [run for run in trial.runs if run.state in ENDED] for trial in finalists
    }
    search = replace(search, finalists=finalists)
    awaited = len(values) * len(cell.finalist_seeds) - sum(map(len, ended.values()))
    if awaited and cell.chose is None:
        return replace(search, chosen=None, awaited=awaited)
    if awaited:  # runs were deleted since a launcher chose
        return replace(search, chosen=cell.chose)
    fresh = {
        number: [run.metrics for run in runs if run.state == "finished"]
        for number, runs in ended.items()
    }
    seeds = cell.search_seeds, len(cell.finalist_seeds)
    first, *_ = rank_trials(values, cell.objectives, fresh, seeds=seeds)
    return replace(search, chosen=first)


def _first_of_points(ranked: Iterable[int], trials: Mapping[int, Trial]) -> list[int]:
    """Return trials without those whose point a better one has: their runs are the same."""
    seen: set[str] = set()
    kept = []
    for number in ranked:
        digests = {run.digest for run in trials[number].runs} if number in trials else set()
        if seen.isdisjoint(digests):
            kept.append(number)
        seen |= digests
    return kept


def _read_trials(
    cell: PlannedCell, records: Sequence[RunRecord]
) -> tuple[SearchProgress, dict[int, tuple[float, ...]]]:
    """Read a search's trials; return too the values of the finished ones, best first.

    The budget's trials are the first that ended. Trials are numbered one by one: where a number
    is missing, the runs of its trial were deleted, and the trial counts all the same. So do trials
    that are missing at the end, if a launcher recorded how many there were.
    """
    trials = trials_of(records)
    if cell.latest is not None:
        return _as_recorded(cell.latest, records, trials), {}
    if not cell.trials:
        return SearchProgress(), {}
    if any(logged.ended and logged.number not in trials for logged in cell.log[: cell.trials]):
        return _from_log(cell, trials)
    later = [run for run in records if run.group.phase != "search"]
    confirms = [run for run in later if run.group.phase == "confirm"]
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
            going_on = not later and number == numbers[-1] and trial.lacks(cell.search_seeds)
            if going_on or not trial.counts:
                continue
        ended += 1
    unseen = max(0, min(cell.tried, cell.trials) - ended)
    ended, gone = ended + unseen, len(lost) + unseen
    deleted = [confirmed[number] for number in lost if number in confirmed]
    if deleted:  # the best trial's own runs are gone; its confirm runs show that it was the best
        chosen = max(deleted, key=lambda run: (run.start, run.run_id)).group.trial
        return SearchProgress(tuple(kept), frozenset(beyond), ended, gone, chosen=chosen), {}
    values = _values(kept, cell)
    ranked = {n: values[n] for n in rank_trials(values, cell.objectives)}
    spent, best = ended == cell.trials, next(iter(ranked), None)
    return SearchProgress(tuple(kept), frozenset(beyond), ended, gone, spent, best), ranked


def _as_recorded(
    latest: RunRecord, records: Sequence[RunRecord], trials: Mapping[int, Trial]
) -> SearchProgress:
    """Return a search whose definition is not known: what is there counts."""
    return SearchProgress(
        tuple(trials.values()),
        counted=sum(trial.counts for trial in trials.values()),
        chosen=latest.group.trial,
        finalists=tuple(trials_of(records, "finalists").values()),
    )


def _from_log(
    cell: PlannedCell, trials: Mapping[int, Trial]
) -> tuple[SearchProgress, dict[int, tuple[float, ...]]]:
    """Read a search of which some trials' runs were deleted: Optuna knows them all."""
    log = cell.log[: cell.trials]
    ended = [logged for logged in log if logged.ended]
    last = log[-1].number
    spent = len(ended) == cell.trials
    values = {logged.number: tuple(logged.values) for logged in ended if logged.values}
    ranked = {number: values[number] for number in rank_trials(values, cell.objectives)}
    search = SearchProgress(
        tuple(trial for number, trial in trials.items() if number <= last),
        frozenset(number for number in trials if number > last and len(log) == cell.trials),
        counted=len(ended),
        lost=sum(logged.number not in trials for logged in ended),
        spent=spent,
        chosen=next(iter(ranked), None) if spent else None,
    )
    return search, ranked


def trials_of(
    records: Sequence[RunRecord], phase: Phase = "search", seeds: Collection[SeedKey] | None = None
) -> dict[int, Trial]:
    """Return trials by number, with their runs of a phase; of each seed the last run.

    Args:
        records: The records.
        phase: search or finalists.
        seeds: Those that count; by default all.
    """
    found: defaultdict[int, dict[SeedKey, RunRecord]] = defaultdict(dict)
    for record in records:
        group = record.group
        wanted = seeds is None or seeds_of(record) in seeds
        if group.phase == phase and group.trial is not None and wanted:
            # A trial that was resumed may have two runs of a seed: the later one counts.
            found[group.trial][seeds_of(record)] = record
    return {number: Trial(number, tuple(runs.values())) for number, runs in sorted(found.items())}


def _values(trials: Sequence[Trial], cell: PlannedCell) -> dict[int, tuple[float, ...]]:
    """Return the values of the trials that finished on every seed: means over their runs."""
    found = {}
    for trial in trials:
        if trial.state != "finished" or trial.lacks(cell.search_seeds):
            continue
        with contextlib.suppress(ConfigError):  # a run lacks an objective
            found[trial.number] = tuple(
                fmean(objective.of(run.metrics) for run in trial.runs)
                for objective in cell.objectives
            )
    return found
