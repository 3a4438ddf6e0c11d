"""Say which cells and seeds of the studies are still to come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from tuner.report.compared import Block, ComparedCell
from tuner.report.comparison import Note
from tuner.report.wording import counted
from tuner.trackers import RunRecord

_Name = tuple[str, str, str, str]
"""Study, task, model, arm."""


@dataclass(frozen=True)
class Planned:
    """The cells of a study, and the confirm seeds of each."""

    tasks: tuple[str, ...]
    models: tuple[str, ...]
    arms: tuple[str, ...]
    seeds: int


def planned_of(resolved_yaml: str) -> Planned:
    """Read what a study plans from its resolved YAML."""
    tree: Mapping[str, Any] = yaml.safe_load(resolved_yaml) or {}
    return Planned(
        tasks=tuple(map(_name, tree.get("tasks", ()))),
        models=tuple(map(_name, tree.get("models", ()))),
        arms=tuple(tree.get("arms", ())),
        seeds=len(tree.get("confirm", {}).get("seeds", ())),
    )


def unfinished_notes(
    planned: Mapping[str, Planned], blocks: Sequence[Block], records: Sequence[RunRecord]
) -> Iterator[Note]:
    """Yield a note for every planned cell that lacks confirm runs.

    Args:
        planned: By study.
        blocks: What is compared.
        records: All runs, for the trials of cells that are not confirmed yet.
    """
    trials = Counter(
        (group.study, group.task, group.model, group.arm)
        for group in {run.group for run in records if run.group.phase == "search"}
    )
    found = {_key(cell): cell for block in blocks for cell in block.cells}
    shown = {(block.task, block.model) for block in blocks}
    for study, plan in planned.items():
        for task in plan.tasks:
            for model in plan.models:
                for arm in plan.arms:
                    name = (study, task, model, arm)
                    text = _missing(found.get(name), plan, arm, trials[name])
                    if text and (task, model) in shown:
                        yield Note(text, task, model)
                    elif text:
                        yield Note(f"{task} · {model}: {text}")


def _missing(cell: ComparedCell | None, plan: Planned, arm: str, trials: int) -> str:
    if cell is None:
        return f"{arm}: {counted(trials, 'trial')} searched, not confirmed yet: not in the table."
    ended = len(cell.runs)
    if ended < plan.seeds:
        return f"{cell.arm}: {ended} of {plan.seeds} confirm runs have ended so far."
    return ""


def _key(cell: ComparedCell) -> _Name:
    group = cell.group
    return group.study, group.task, group.model, group.arm


def _name(item: object) -> str:
    if isinstance(item, Mapping):
        return str(item.get("name") or item.get("kind"))
    return str(item)
