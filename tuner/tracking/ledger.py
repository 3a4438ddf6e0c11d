"""Keep in memory which runs a tracker has, so that finding one to adopt costs no query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trainers.contract import RunSpec
from tuner.tracking.base import Group, RunState
from tuner.tracking.names import entity_name


@dataclass(frozen=True)
class MetricValue:
    """One value of a metric."""

    name: str
    value: float
    step: int
    milliseconds: int
    """Since 1970, the store's resolution; equal points are kept once."""


@dataclass
class Past:
    """What is needed to enter a run that is open once more."""

    spec: RunSpec | None
    """None for a group's parent."""
    params: Mapping[str, str]
    points: list[MetricValue] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    files: Sequence[Path] = ()


@dataclass
class Line:
    """What the ledger knows of a run, a group's parent included."""

    run_id: str
    group: Group
    parent_id: str | None = None
    digest: str = ""
    state: RunState = "running"
    name: str = ""
    key: str = ""
    """Of the call that made it; empty where it was none of a kind that may be repeated."""
    live: bool = False
    """Opened by this tracker and not closed since."""
    shared: bool = False
    """A group that other launchers may write to."""
    step: int = 0
    """Last step logged."""
    latest: dict[str, MetricValue] = field(default_factory=dict)
    """Last point of each metric."""
    facts: dict[str, str] = field(default_factory=dict)
    artifact_uri: str = ""
    """Where its files are kept."""
    past: Past | None = None
    """While it is open: what was written."""

    def note(self, points: Iterable[MetricValue]) -> None:
        """Remember the last point of each metric, in the order of steps, then of time."""
        for point in points:
            self.step = max(self.step, point.step)
            held = self.latest.get(point.name, point)
            if (point.step, point.milliseconds) >= (held.step, held.milliseconds):
                self.latest[point.name] = point

    def changed(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Return the metrics whose last value is another, so that no point is logged twice."""
        return {
            name: value
            for name, value in metrics.items()
            if name not in self.latest or self.latest[name].value != value
        }

    def changed_facts(self, facts: Mapping[str, str]) -> dict[str, str]:
        """Return the facts that are not known yet, by the names they are stored under."""
        named = {entity_name(name): value for name, value in facts.items()}
        return {name: value for name, value in named.items() if self.facts.get(name) != value}


@dataclass(frozen=True)
class Claim:
    """What is to happen when a run is asked for."""

    finished: Line | None = None
    """The run is done already."""
    adopted: Line | None = None
    """Continue this one."""
    stale: tuple[Line, ...] = ()
    """Close these as killed."""


class Ledger:
    """The runs of the open studies. Not locked: the tracker that owns it does that."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._parents: dict[Group, Line] = {}
        self._children: dict[str, list[Line]] = {}

    def __getitem__(self, run_id: str) -> Line:
        return self._lines[run_id]

    def add(self, line: Line) -> Line:
        """Enter a run. Runs are entered in the order they were started."""
        self._lines[line.run_id] = line
        if line.parent_id is None:
            self._parents[line.group] = line
        else:
            self._children.setdefault(line.parent_id, []).append(line)
        return line

    def rename(self, old: str, line: Line) -> list[Line]:
        """Know a run by a new identifier too; return its children, which are under it now."""
        self._lines[line.run_id] = line
        return self._take_over(old, line)

    def strays(self, parent: Line) -> list[Line]:
        """Put the children of a group's parents that are no more under another; return them."""
        lost = [
            parent_id
            for parent_id, children in self._children.items()
            if parent_id not in self._lines and children[0].group == parent.group
        ]
        return [child for parent_id in lost for child in self._take_over(parent_id, parent)]

    def _take_over(self, old: str, parent: Line) -> list[Line]:
        children = self._children.pop(old, [])
        for child in children:
            child.parent_id = parent.run_id
        if children:
            self._children.setdefault(parent.run_id, []).extend(children)
        return children

    def renew(self, found: Iterable[Line]) -> None:
        """Enter what other launchers have written; what this tracker has open is its own."""
        for line in found:
            known = self._lines.get(line.run_id)
            if known is None:
                self.add(line)
            elif not known.live:
                known.state = line.state
                known.latest |= line.latest

    def parent(self, group: Group) -> Line | None:
        """Return the group's parent run; the newest, should there be several."""
        return self._parents.get(group)

    def orphans(self, parent_id: str) -> list[Line]:
        """Return the children that some other launcher left running."""
        children = self._children.get(parent_id, [])
        return [line for line in children if line.state == "running" and not line.live]

    def claim(self, parent_id: str, digest: str, *, adopt: bool, key: str = "") -> Claim:
        """Decide how a run of this digest in this group begins.

        Args:
            parent_id: The group's parent.
            digest: Of the run's spec.
            adopt: Continue the last run of this digest.
            key: Continue the run that a call of this key has made before, if it did.
        """
        twins = [line for line in self._children.get(parent_id, []) if line.digest == digest]
        for line in twins:
            if line.state == "finished":
                return Claim(finished=line)
        made = [line for line in twins if key and line.key == key]
        adopted = made[-1] if made else twins[-1] if adopt and twins else None
        running = (line for line in twins if line.state == "running" and line is not adopted)
        return Claim(adopted=adopted, stale=tuple(running))
