"""Make MLflow's params, tags and data sets, within its limits."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag

from tuner.tracking.names import cut, entity_name

_LONGEST_PARAM, _LONGEST_TAG, _LONGEST_DIGEST = 6_000, 8_000, 36


def make_params(values: Mapping[str, str]) -> list[Param]:
    """Return params, with long values cut."""
    return [Param(entity_name(name), cut(text, _LONGEST_PARAM)) for name, text in values.items()]


def make_tags(values: Mapping[str, str]) -> list[RunTag]:
    """Return tags, with long values cut."""
    return [RunTag(name, cut(text, _LONGEST_TAG)) for name, text in values.items()]


def make_inputs(task: str, facts: Mapping[str, str]) -> list[DatasetInput]:
    """Return a run's splits as MLflow's data sets, with their digests from the facts."""
    inputs = []
    for split in ("train", "validation", "test"):
        if digest := facts.get(f"data.{split}"):
            dataset = Dataset(
                name=task,
                digest=digest[:_LONGEST_DIGEST],
                source_type="tuner",
                source=json.dumps({"task": task, "split": split, "sha256": digest}),
                profile=json.dumps({"num_rows": facts.get(f"rows.{split}")}),
            )
            inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", split)]))
    return inputs
