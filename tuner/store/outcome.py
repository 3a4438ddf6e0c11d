"""What a run is asked for, how it ended, and whether that is what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from trainers.contract import RunResult, RunSpec
from trainers.plugins import Frozen
from tuner.store.records import Group

_DATA, _SPLITS = "data.", ("train", "validation", "test")


class Outcome(Frozen):
    """How an attempt at a run ended."""

    state: Literal["finished", "pruned", "diverged", "failed", "killed"]
    """finished: it has a result; pruned: its trial was stopped; diverged: a loss or logits were
    not finite; failed: it broke; killed: it is to be done again."""
    reason: str = ""
    """Why it has no result, in one line."""
    of_cell: bool = False
    """It failed for a reason that every run of its cell has: model and method do not fit."""
    result: RunResult | None = None
    """What came out of a finished run."""
    retry: Mapping[str, str] = {}
    """What was changed in the spec after out of memory, such as `retry.batch_size`."""
    excess_bytes: int | None = None
    """How far its predicted memory was over the study's cap, below it if negative."""
    metrics: Mapping[str, float] = {}
    """The last value of each metric that its events brought."""
    facts: Mapping[str, str] = {}
    """What its events brought."""

    def data(self) -> dict[str, str]:
        """Return the digest of each split that a finished run has read."""
        facts = self.result.facts if self.result else {}
        return {split: facts[_DATA + split] for split in _SPLITS if _DATA + split in facts}


@dataclass(frozen=True)
class RunRequest:
    """A run that is wanted, and what it is for."""

    spec: RunSpec
    group: Group
    """Its configuration."""
    data: Mapping[str, str]
    """Digest of each split as the data are now; empty where they are not known."""
    searched: bool = False
    """It is a trial's, or confirms one."""
    title: str = ""
    """Names the run for people."""
    needs: frozenset[str] = frozenset()
    """Metrics that its result must have."""
    begin: bool = True
    """Do it if it is not done; else it is only looked up."""

    def fulfilled_by(self, outcome: Outcome, group: Group, *, fresh: bool = False) -> bool:
        """Return whether an earlier outcome stands for this run.

        A finished one does for everybody, unless the data have changed since, or it was measured
        another way and lacks a metric; any other only for the configuration it was made in. A
        failed confirm run is tried again, and one whose model and method did not fit.

        Args:
            outcome: How the run ended.
            group: The configuration it was done for.
            fresh: It ended since this launcher was started: no launcher tries a run again that
                has just failed in another.
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
        """Return whether a configuration is not of this cell's own search, of one cap."""
        changes = {"phase": "search", "trial": None}
        return group.model_copy(update=changes) != self.group.model_copy(update=changes)
