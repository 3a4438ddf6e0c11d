"""The points, files and params of a run, for MLflow."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path

from mlflow.entities import Metric
from pydantic import ValidationError

from trainers.contract import RunEvent, RunSpec, flatten
from tuner.store import Store
from tuner.store.journal import Journal
from tuner.store.outcome import Outcome
from tuner.store.runs import Run, event_topic, final_metrics, read_events
from tuner.tracking.aggregate import shown
from tuner.tracking.names import entity_name, searched_names

SPEC = "spec.json"
"""File with the whole spec of a run; of a configuration, the spec without the seeds."""
_FILES = (SPEC, "environment.json", "predictions.parquet")
_FILES_OF_FAILED = (*_FILES, "stderr.log")
_ALWAYS = ("task.name", "model.name", "method.kind", "train.learning_rate")
_ALL = ("metric", "read_test", "save", "ranks")
"""Params that a run has together only if it has its whole spec as params."""


def events_of(journal: Journal, run: Run) -> Sequence[RunEvent]:
    """Return the events of a run."""
    topic = event_topic(run.attempt.name, run.attempt.number)
    return list(read_events(journal, topic))


def last_step(journal: Journal, run: Run) -> int:
    """Return the last step of a run's events; 0 where it has none."""
    return max((event.step for event in events_of(journal, run)), default=0)


def points_of(events: Sequence[RunEvent]) -> list[Metric]:
    """Return the metrics of events as points of curves."""
    return [
        Metric(entity_name(name), value, int(event.time * 1000), event.step)
        for event in events
        for name, value in event.metrics.items()
    ]


def final_points(journal: Journal, run: Run) -> list[Metric]:
    """Return the final metrics of an ended run that its events do not end with.

    They are at the last step, so that the kept epoch's scores replace the last epoch's.
    """
    outcome, end = run.outcome, run.attempt.end
    assert outcome is not None
    assert end is not None
    step = last_step(journal, run) if outcome.result else 0
    return [
        Metric(entity_name(name), value, int(end * 1000), step)
        for name, value in shown(final_metrics(outcome)).items()
        if outcome.metrics.get(name) != value
    ]


def files_of(store: Store, run: Run, outcome: Outcome) -> list[Path]:
    """Return the files of a run that are on this machine."""
    folder = store.run_dir(run.attempt.name, run.attempt.number)
    names = _FILES_OF_FAILED if outcome.state in ("diverged", "failed") else _FILES
    return [folder / name for name in names if (folder / name).is_file()]


def params_of(run: Run, resolved_yaml: str) -> dict[str, str]:
    """Return the params that MLflow shows of a run: those that are searched or no default.

    Args:
        run: The run.
        resolved_yaml: Its study.
    """
    params = run.params()
    try:
        spec = RunSpec.model_validate(run.begun.spec)
    except ValidationError:  # of another version, or of a plug-in that is not here
        return params
    own = {name for name, _ in flatten(spec.model_dump(mode="json", exclude_defaults=True))}
    kept = own.union(searched_names(resolved_yaml, run.group.arm), _ALWAYS, run.begun.retry)
    return {name: value for name, value in params.items() if name in kept}


def shared_params(run: Run, resolved_yaml: str) -> dict[str, str]:
    """Return the params of `params_of` that all runs of the configuration share."""
    params = params_of(run, resolved_yaml).items()
    return {name: text for name, text in params if not name.startswith(("seeds.", "retry."))}


def spec_text(run: Run) -> str:
    """Return the spec of a run's configuration as JSON."""
    spec = {name: value for name, value in run.begun.spec.items() if name != "seeds"}
    return json.dumps(spec, indent=2)


def has_whole_spec(params: Collection[str]) -> bool:
    """Return whether a stored run has its whole spec as params, as earlier versions wrote it."""
    return all(name in params for name in _ALL)


def read_spec(path: Path | None) -> dict[str, str]:
    """Return the flattened spec of a file; nothing where there is none, or it is damaged."""
    try:
        tree = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    return {name: str(value) for name, value in flatten(tree)} if isinstance(tree, dict) else {}
