"""Say what a run is ordered for, and how it ended."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainers.contract import RunResult, RunSpec
from trainers.plugins import Frozen

_DATA, _SPLITS = "data.", ("train", "validation", "test")


class Outcome(Frozen):
    """How a run ended, as `outcome.json` in its folder says."""

    state: Literal["finished", "pruned", "diverged", "failed"]
    """finished: it has a result; pruned: its trial was stopped; diverged: a loss or logits were
    not finite; failed: it broke."""
    owner: str
    """Trial or confirm group that it was done for."""
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

    def data(self) -> dict[str, str]:
        """Return the digest of each split that a finished run has read."""
        facts = self.result.facts if self.result else {}
        return {split: facts[_DATA + split] for split in _SPLITS if _DATA + split in facts}


@dataclass(frozen=True)
class Order:
    """A run to be done, and what it is for."""

    spec: RunSpec
    group_id: str
    """The tracker's id of the configuration."""
    owner: str
    """Names the configuration in the outcome."""
    data: Mapping[str, str]
    """Digest of each split as the data are now; empty where they are not known."""
    shared: bool = False
    """Other launchers may write to its group."""
    searched: bool = False
    """It is a trial's, or confirms one."""
    title: str = ""
    """Names the run for people."""
    needs: frozenset[str] = frozenset()
    """Metrics that its result must have."""
    begin: bool = True
    """Do it if it is not done; else it is only looked up."""

    def fulfilled_by(self, outcome: Outcome, *, fresh: bool = False) -> bool:
        """Say whether an earlier outcome stands for this run.

        A finished one does for everybody, unless the data have changed since, or it was measured
        another way and lacks a metric; any other only for the configuration it was made in. A
        failed confirm run is tried again.

        Args:
            outcome: How the run ended.
            fresh: It ended since this launcher was started: no launcher tries a run again that
                has just failed in another.
        """
        if outcome.result is None:
            final = outcome.state != "failed" or not self.spec.read_test
            return outcome.owner == self.owner and (fresh or final)
        if not self.needs <= outcome.result.metrics().keys():
            return False
        return dict(self.data).items() <= outcome.data().items()

    def of_another_search(self, outcome: Outcome) -> bool:
        """Say whether an outcome comes from elsewhere than this cell's own search, of one cap."""
        here, there = (owner.rsplit(" ", 2)[0] for owner in (self.owner, outcome.owner))
        return here != there


@dataclass(frozen=True)
class Recorded:
    """A run's outcome, and whether it stood there already."""

    outcome: Outcome
    reused: bool
    elsewhere: bool = False
    """Another living launcher did it, and tracks it."""


def claim_of(digest: str) -> str:
    """Name the claim on a run."""
    return f"run {digest}"


def take_up(folder: Path, data: Mapping[str, str]) -> Outcome | None:
    """Return the outcome of a run on some data; put that of the same run on other data aside.

    A run's folder goes by its spec, which does not tell data apart. So what was put aside comes
    back once the data are again what they were.

    Args:
        folder: Of the run.
        data: Digest of each split as the data are now; empty where they are not known.
    """
    outcome = read_outcome(folder)
    there = outcome.data() if outcome else {}
    if dict(data).items() <= there.items():  # as `Order.fulfilled_by` has it
        return outcome
    own = _aside(folder, data)
    if there:
        shutil.rmtree(_aside(folder, there), ignore_errors=True)  # of the same data, done again
        folder.rename(_aside(folder, there))
    if own.is_dir():
        shutil.rmtree(folder, ignore_errors=True)  # of a run that came to no result
        own.rename(folder)
    return read_outcome(folder)


def _aside(folder: Path, data: Mapping[str, str]) -> Path:
    mark = hashlib.sha256(json.dumps(dict(data), sort_keys=True).encode()).hexdigest()[:8]
    return folder.with_name(f"{folder.name}.{mark}")


def read_outcome(folder: Path) -> Outcome | None:
    """Return how the run of this folder ended; None while it has not."""
    path = folder / "outcome.json"
    return Outcome.model_validate_json(path.read_text()) if path.exists() else None
