"""The request for a run, its outcome, and whether an outcome fulfils a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from trainers.contract import RunResult, RunSpec
from trainers.plugins import Frozen
from tuner.store.records import Group

_DATA, _SPLITS = "data.", ("train", "validation", "test")


class Outcome(Frozen):
    """The end of an attempt at a run."""

    state: Literal["finished", "pruned", "diverged", "failed", "killed"]
    """finished: it has a result; pruned: its trial was stopped; diverged: a loss or logits were
    not finite; failed: an error; killed: it will be done again."""
    reason: str = ""
    """Why it has no result, in one line."""
    of_cell: bool = False
    """It failed for a reason of its whole cell: model and method do not fit."""
    result: RunResult | None = None
    """The result of a finished run."""
    retry: Mapping[str, str] = {}
    """Changes of the spec after out of memory, such as `retry.batch_size`."""
    excess_bytes: int | None = None
    """Predicted memory above the study's cap; negative below it."""
    metrics: Mapping[str, float] = {}
    """The last value of each metric of its events."""
    facts: Mapping[str, str] = {}
    """The facts of its events."""
    epochs: float | None = None
    """Epochs that it trained, whether it finished or was stopped."""

    def data(self) -> dict[str, str]:
        """Return the digest of each split that a finished run has read."""
        facts = self.result.facts if self.result else {}
        return {split: facts[_DATA + split] for split in _SPLITS if _DATA + split in facts}


@dataclass(frozen=True)
class RunRequest:
    """A requested run, with its configuration."""

    spec: RunSpec
    group: Group
    """Its configuration."""
    data: Mapping[str, str]
    """Digest of each split of the present data; empty where unknown."""
    searched: bool = False
    """It belongs to a trial, or confirms one."""
    title: str = ""
    """Name of the run in messages."""
    needs: frozenset[str] = frozenset()
    """Metrics that its result must have."""
    begin: bool = True
    """Do the run if it is not done; False: only look it up."""

    def fulfilled_by(self, outcome: Outcome, group: Group, *, fresh: bool = False) -> bool:
        """Return whether an earlier outcome fulfils this request.

        A finished one does for every configuration, unless the data have changed or it was
        measured another way and lacks a metric; any other only for its own configuration. A
        failed confirm run is tried again, and a run whose model and method did not fit.

        Args:
            outcome: The run's end.
            group: The configuration that the run was done for.
            fresh: It ended since this launcher was started: a launcher does not retry a run
                that has just failed in another one.
        """
        if outcome.state == "killed":
            return False
        if outcome.result is None:
            final = outcome.state != "failed" or not (self.spec.read_test or outcome.of_cell)
            return group == self.group and (fresh or final)
        if not self.needs <= outcome.result.metrics().keys():
            return False
        return dict(self.data).items() <= outcome.data().items()

    def of_another_search(self, group: Group) -> bool:
        """Return whether a configuration belongs to another search, maybe with another cap."""
        changes = {"phase": "search", "trial": None}
        return group.model_copy(update=changes) != self.group.model_copy(update=changes)
