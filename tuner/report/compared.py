"""Choose the runs that are compared: each cell's latest confirm runs, and its search."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.trackers import Group, RunRecord

SeedKey = tuple[int, int, int]
"""Init, order and data seed."""


@dataclass(frozen=True)
class Trial:
    """A configuration that the search tried, with its runs in the order of seeds."""

    number: int
    runs: tuple[RunRecord, ...]

    @property
    def state(self) -> str:
        """Finished where every run is; else how the first that did not finish ended."""
        return next((run.state for run in self.runs if run.state != "finished"), "finished")

    @property
    def counts(self) -> bool:
        """Whether it came to an end, and so was a part of the budget."""
        return self.state in ("finished", "pruned", "failed")


@dataclass(frozen=True)
class ComparedCell:
    """The confirm runs of one cell, and the search that chose their configuration."""

    study: str
    task: str
    model: str
    arm: str
    """The arm's label: its name, and the study's where two studies share it."""
    group: Group
    """The configuration that was confirmed."""
    parent_id: str
    """The tracker's run of that configuration."""
    finished: tuple[RunRecord, ...]
    """One a digest, in the order of their seeds."""
    failed: tuple[RunRecord, ...]
    """Failed runs whose digest was never finished, one a digest."""
    left_out: int
    """Confirm runs of older definitions of this cell, or of a trial that is no longer its best."""
    trials: tuple[Trial, ...]
    """Of this definition of the cell, by number."""

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """All runs that a table shows."""
        return (*self.finished, *self.failed)

    @property
    def method(self) -> str:
        """The method's kind."""
        return next((run.params["method.kind"] for run in self.runs if run.params), "")

    def by_seeds(self) -> dict[SeedKey, RunRecord]:
        """Return the finished runs by their seeds."""
        return {seeds_of(run): run for run in self.finished}

    def values(self, name: str) -> list[float]:
        """Return a metric of the finished runs that have it, in the order of seeds."""
        return [run.metrics[name] for run in self.finished if name in run.metrics]


@dataclass(frozen=True)
class Block:
    """The cells of one task and model: what is compared with each other."""

    task: str
    model: str
    cells: tuple[ComparedCell, ...]
    """By arm."""


def compared_blocks(records: Sequence[RunRecord]) -> list[Block]:
    """Return what is to be compared, sorted by task, model and arm."""
    cells: defaultdict[tuple[str, str, str, str], list[RunRecord]] = defaultdict(list)
    # Sorted first, so that whatever is computed from them does not depend on the given order.
    for record in map(_finite, sorted(records, key=_order)):
        group = record.group
        cells[group.task, group.model, group.arm, group.study].append(record)
    confirmed = {
        key: found
        for key, found in cells.items()
        if any(record.group.phase == "confirm" for record in found)
    }
    shared = Counter(key[:3] for key in confirmed)
    blocks: defaultdict[tuple[str, str], list[ComparedCell]] = defaultdict(list)
    for key, found in sorted(confirmed.items()):
        task, model, arm, study = key
        label = f"{arm} [{study}]" if shared[key[:3]] > 1 else arm
        blocks[task, model].append(_compared(found, label))
    return [
        Block(task, model, tuple(sorted(found, key=lambda cell: cell.arm)))
        for (task, model), found in sorted(blocks.items())
    ]


def seeds_of(run: RunRecord) -> SeedKey:
    """Return a run's three seeds."""
    return run.seeds.init, run.seeds.order, run.seeds.data


def seed_text(seeds: SeedKey) -> str:
    """Return init/order/data."""
    return "/".join(map(str, seeds))


def _compared(records: Sequence[RunRecord], label: str) -> ComparedCell:
    confirm = [record for record in records if record.group.phase == "confirm"]
    last = max(confirm, key=lambda record: (record.start, record.run_id))
    current = [record for record in confirm if record.group == last.group]
    # A digest may be there twice, after a resumed study: the later one stands.
    finished = {record.digest: record for record in current if record.state == "finished"}
    failed = {
        record.digest: record
        for record in current
        if record.state == "failed" and record.digest not in finished
    }
    return ComparedCell(
        last.group.study,
        last.group.task,
        last.group.model,
        label,
        group=last.group,
        parent_id=last.parent_id,
        finished=tuple(finished.values()),
        failed=tuple(failed.values()),
        left_out=len(confirm) - len(current),
        trials=_trials(records, last.group),
    )


def _trials(records: Sequence[RunRecord], confirmed: Group) -> tuple[Trial, ...]:
    found: defaultdict[int, dict[SeedKey, RunRecord]] = defaultdict(dict)
    for record in records:
        group = record.group
        if group.phase == "search" and group.cell == confirmed.cell and group.trial is not None:
            # Runs of a trial that was taken up again stand twice: the later one counts.
            found[group.trial][seeds_of(record)] = record
    return tuple(Trial(number, tuple(runs.values())) for number, runs in sorted(found.items()))


def _finite(record: RunRecord) -> RunRecord:
    """Leave out metrics that are no number, as of a run that diverged: they have no mean."""
    if all(map(math.isfinite, record.metrics.values())):
        return record
    kept = {name: value for name, value in record.metrics.items() if math.isfinite(value)}
    return record.model_copy(update={"metrics": kept})


def _order(record: RunRecord) -> tuple[int, int, int, float, str]:
    return (*seeds_of(record), record.start, record.run_id)
