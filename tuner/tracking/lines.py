"""Turn the runs that a store holds into lines of the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tuner.tracking.ledger import Line, MetricValue
from tuner.tracking.tags import DIGEST, KEY, PARENT, StoredRun, group_of, is_damaged, state_of


def read_lines(study: str, runs: Iterable[StoredRun]) -> Iterator[Line]:
    """Yield the line of every run that is tuner's, with the last value of each metric."""
    for run in runs:
        group = group_of(study, run.tags)
        if group is not None and not is_damaged(run):
            parent_id, digest = run.tags.get(PARENT), run.tags.get(DIGEST, "")
            line = Line(run.run_id, group, parent_id, digest, state_of(run))
            line.key, line.artifact_uri = run.tags.get(KEY, ""), run.artifact_uri
            line.note(MetricValue(name, value, 0, 0) for name, value in run.metrics.items())
            yield line
