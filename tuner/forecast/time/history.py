"""Read a study's runs from a store, without writing to it, and count the finished ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from trainers.contract import RunSpec, Seeds
from tuner.config import Cell, StudyConfig, count_points
from tuner.forecast.time.forecasts import Count
from tuner.report import SearchProgress, plan_cell, read_search
from tuner.store import RunRecord, Store, check_folder, check_version
from tuner.tracking import open_reader, open_server_reader


@dataclass(frozen=True)
class History:
    """The runs of a store that matter for a study."""

    store: Store
    runs: tuple[RunRecord, ...] = ()
    """Runs of the study itself."""
    others: tuple[RunRecord, ...] = ()
    """Runs of other studies on the same tasks and models."""

    spec_of: Callable[[str], RunSpec | None] = field(default=lambda run_id: None, compare=False)
    """Return the spec of a run by its id; None where unknown."""

    def of_cell(self, cell: Cell) -> list[RunRecord]:
        """Return the study's runs of a cell under its present definition."""
        return [run for run in self.runs if run.group.cell == cell.fingerprint()]


@dataclass(frozen=True)
class CellProgress:
    """A cell's finished and remaining runs."""

    search: Count
    finalists: Count
    confirm: Count

    @property
    def left(self) -> int:
        """Remaining runs."""
        return self.search.left + self.finalists.left + self.confirm.left


def read_history(config: StudyConfig, store: Store, *, tracking: str | None = None) -> History:
    """Read the runs of a store; a missing store has none, and is not made.

    Args:
        config: The study.
        store: The store.
        tracking: Address of the MLflow server with its runs, if the journal is not here.

    Raises:
        ConfigError: The store is no folder or cannot be read, or no server answers.
    """
    check_folder(store.root)
    check_version(store)
    if not store.exists():
        if tracking is None:
            return History(store)
        reader = open_server_reader(tracking)
    else:
        reader = open_reader(store, tracking=tracking)
    blocks = {(task.name, model.name) for task in config.tasks for model in config.models}
    names = [name for name in reader.studies() if name != config.name]
    others = [run for name in names for run in reader.runs(name)]
    return History(
        store,
        tuple(reader.runs(config.name)),
        tuple(run for run in others if (run.group.task, run.group.model) in blocks),
        reader.spec,
    )


def progress(cell: Cell, history: History) -> CellProgress:
    """Count a cell's runs; until its search has ended, all its confirm runs remain."""
    seeds = len(cell.study.confirm.seeds)
    if not cell.searched:
        fixed = cell.spec(cell.study.confirm.seeds[0], confirm=True)
        confirm = _count(seeds, _confirmed(cell, fixed, history))
        return CellProgress(_count(0, 0), _count(0, 0), confirm)
    search = read_search(plan_cell(cell), sorted(history.of_cell(cell), key=lambda run: run.start))
    done = 0
    if search.decided and search.chosen is not None:
        tracked = _tracked(cell, search.chosen, history)
        chosen = [trial.runs[0] for trial in search.trials if trial.number == search.chosen]
        spec = history.spec_of(chosen[0].run_id) if chosen else None
        done = len(set(tracked.values())) if spec is None else _confirmed(cell, spec, history)
    return CellProgress(_search(search, cell), _finalists(search, cell), _count(seeds, done))


def _finalists(search: SearchProgress, cell: Cell) -> Count:
    """Count the runs of finalists; a search that is not spent may choose others."""
    planned = cell.study.finalist_runs()
    if not search.spent:
        return _count(planned, 0)
    if search.finalists:
        planned = len(search.finalists) * len(cell.study.finalist_seeds())
        return _count(planned, planned - search.awaited)
    return _count(0, 0)  # fewer than two trials finished


def _search(search: SearchProgress, cell: Cell) -> Count:
    """Count a cell's search runs; a repeated point reuses the first one's runs."""
    settings, points = cell.study.search, count_points(cell.study.arms[cell.arm].space)
    seeds = len(settings.seeds)
    different = settings.trials if points is None else min(settings.trials, points)
    ended = [trial for trial in search.trials if trial.counts and not trial.lacks(seeds)]
    tried = _different([trial.runs for trial in ended]) + search.lost
    left = max(0, min(settings.trials - search.counted, different - tried)) * seeds
    # An interrupted trial does not repeat its finished seeds.
    begun = sum(
        run.state == "finished"
        for trial in search.trials
        if trial not in ended
        for run in trial.runs
    )
    planned = different * seeds
    return _count(planned, planned - max(0, left - begun))


def _count(planned: int, done: int) -> Count:
    return Count(planned=planned, done=done, left=planned - done)


def _different(trials: Sequence[Sequence[RunRecord]]) -> int:
    """Count the different points of trials: equal ones have runs of equal digests."""
    seen: set[str] = set()
    count = 0
    for runs in trials:
        digests = {run.digest for run in runs}
        count += seen.isdisjoint(digests)
        seen |= digests
    return count


def _tracked(cell: Cell, trial: int | None, history: History) -> dict[str, Seeds]:
    """Return digests and seeds of the finished confirm runs."""
    wanted = cell.study.confirm.seeds
    return {
        run.digest: run.seeds
        for run in history.of_cell(cell)
        if (run.group.phase, run.group.trial, run.state) == ("confirm", trial, "finished")
        and run.seeds in wanted
    }


def _confirmed(cell: Cell, spec: RunSpec, history: History) -> int:
    """Count the finished confirm runs on the present data, in any study."""
    done = 0
    for seeds in cell.study.confirm.seeds:
        changes = {"seeds": seeds, "read_test": True, "save": cell.keeper}
        wanted = spec.model_copy(update=changes).digest()
        digests = cell.data.get(seeds.data, {})
        data = {f"data.{split}": digest for split, digest in digests.items()}
        done += any(
            run.state == "finished" and data.items() <= run.facts.items()
            for run in (*history.runs, *history.others)
            if run.digest == wanted
        )
    return done
