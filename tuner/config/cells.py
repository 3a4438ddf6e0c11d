"""The cells of a study, and the spec of every run in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from trainers.contract import RunSpec, Seeds
from tuner.config.spaces import Point
from tuner.config.study import StudyConfig

Phase = Literal["search", "finalists", "confirm"]
"""search: trials; finalists: the best of them on fresh seeds; confirm: the chosen one, on test."""
Digests = Mapping[int, Mapping[str, str]]
"""SHA-256 of each split's rows, by data seed."""


def cell_label(task: str, model: str, arm: str) -> str:
    """Return the name of a cell as people read it."""
    return f"{task} / {model} / {arm}"


@dataclass(frozen=True)
class Cell:
    """One task, model and arm of a study."""

    study: StudyConfig
    task: str
    model: str
    arm: str
    data: Digests = field(default_factory=dict)
    """Digests of the task's current rows; empty until they have been read."""

    @property
    def label(self) -> str:
        """Name as people read it."""
        return cell_label(self.task, self.model, self.arm)

    @property
    def searched(self) -> bool:
        """Whether the arm has a space."""
        return bool(self.study.arms[self.arm].space)

    @property
    def keeper(self) -> str | bool:
        """Value of `save` in confirm runs: a run whose model is kept is of this study alone."""
        return self.study.name if self.study.save != "none" else False

    def fingerprint(self) -> str:
        """Return 12 hex digits that change with anything that would change the search.

        A cell whose definition, data or memory_cap (which refuses trials) has changed starts a new
        search. A cell that is only given more trials, other finalists or more confirm seeds
        continues its search.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        arm = self.study.arms[self.arm]
        definition = {
            "spec": self.spec(Seeds(init=0, order=0)).model_dump(mode="json"),
            "space": {k: v.model_dump(mode="json", by_alias=True) for k, v in arm.space.items()},
            "search": self._search_definition() if arm.space else None,
            "data": self.data,
        }
        text = json.dumps(definition, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def _search_definition(self) -> dict[str, Any]:
        definition = self.study.search.model_dump(mode="json", exclude={"trials", "finalists"})
        if self.study.memory_cap is not None:
            definition["memory_cap"] = self.study.memory_cap
        return definition

    def spec(self, seeds: Seeds, point: Point | None = None, *, confirm: bool = False) -> RunSpec:
        """Describe one run of this cell; only confirm runs read the test split."""
        spec = self.study.spec(
            task=self.task, model=self.model, arm=self.arm, seeds=seeds, point=point
        )
        save = self.keeper if confirm else False
        return spec.model_copy(update={"read_test": confirm, "save": save})


def plan(study: StudyConfig, data: Mapping[str, Digests] | None = None) -> tuple[Cell, ...]:
    """List the cells of a study, task by task, model by model, in the order of the YAML.

    Args:
        study: The study.
        data: Digests of each task's rows, where they have been read.
    """
    known = data or {}
    return tuple(
        Cell(study, task.name, model.name, arm, known.get(task.name, {}))
        for task in study.tasks
        for model in study.models
        for arm in study.arms
    )
