"""MLflow's saved views of a study: its arms, best first, and the loss curves by arm."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from tuner.tracking.aggregate import COUNT
from tuner.tracking.names import entity_name, study_tree

_SAVED = "mlflow.sharedViewState."
"""Begins the tags of an experiment in which MLflow's pages keep views."""
_ARMS, _CURVES = "tuner-arms", "tuner-curves"
_CONFIRM = "tags.`tuner.phase` = 'confirm' and "
_PARENTS = f"{_CONFIRM}tags.`mlflow.parentRunId` IS NULL"
_SEEDS = f"{_CONFIRM}metrics.`train/loss` > 0"
"""Of the runs with a curve: MLflow averages all runs of a group."""
_LOSSES = ("train/loss", "validation/loss")


def view_tags(resolved_yaml: str, milliseconds: int) -> dict[str, str]:
    """Return the tags of an experiment that hold the views of a study.

    Args:
        resolved_yaml: The study.
        milliseconds: When it was opened, since 1970.
    """
    tree = study_tree(resolved_yaml)
    views = {
        _ARMS: ("Arms, best first", _arms(tree)),
        _CURVES: ("Loss curves by arm", _curves()),
    }
    tags = {}
    for key, (name, state) in views.items():
        times = {"createdAt": milliseconds, "updatedAt": milliseconds}
        tags[f"{_SAVED}{key}"] = json.dumps({"name": name, **times, "state": json.dumps(state)})
    return tags


def arms_page(address: str, experiment_id: str) -> str:
    """Return the address of MLflow's table of the arms of a study, best first."""
    return _page(address, experiment_id, viewStateShareKey=_ARMS)


def curves_page(address: str, experiment_id: str) -> str:
    """Return the address of MLflow's charts of the loss of a study's arms."""
    return _page(address, experiment_id, viewStateShareKey=_CURVES, compareRunsMode="CHART")


def _page(address: str, experiment_id: str, **query: str) -> str:
    # Else MLflow opens on the pages of generative AI, which show no runs.
    asked = urlencode({"workflowType": "machine_learning", **query})
    return f"{address}/#/experiments/{experiment_id}/runs?{asked}"


def _arms(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of the table of confirm parents."""
    metric = str(tree.get("metric", "macro_f1"))
    arms = (tree.get("arms") or {}).values()
    searched = sorted({name for arm in arms for name in (arm or {}).get("space") or ()})
    metrics = dict.fromkeys(
        (
            *(f"test/{metric}", f"test/{metric}_std", COUNT, f"validation/{metric}"),
            *("memory/train/peak_bytes", "seconds/train", "parameters/trained"),
        )
    )
    several = [name for name in ("tasks", "models") if len(tree.get(name) or ()) > 1]
    columns = [
        *(f"tags.`tuner.{name.removesuffix('s')}`" for name in several),
        *(f"metrics.`{entity_name(name)}`" for name in metrics),
        *(f"params.`{entity_name(name)}`" for name in searched),
    ]
    return {
        "searchFilter": _PARENTS,
        "orderByKey": f"metrics.`{entity_name(f'test/{metric}')}`",
        "orderByAsc": metric == "loss",
        "selectedColumns": columns,
        "columnOrder": columns,
    }


def _curves() -> dict[str, Any]:
    """Return the state of the charts: a line an arm, the mean over its seeds."""
    section = {
        **{"uuid": "tuner-loss", "name": "loss", "display": True, "isReordered": False},
        **{"columns": 2, "cardHeight": 360},
    }
    charts = [
        {
            "type": "LINE",
            "uuid": f"tuner-{name}",
            "metricSectionId": section["uuid"],
            "metricKey": name,
            "selectedMetricKeys": [name],
            "displayName": name,
            "deleted": False,
            "isGenerated": False,
        }
        for name in _LOSSES
    ]
    return {
        "searchFilter": _SEEDS,
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "tag", "groupByData": "tuner.arm"}],
        },
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": charts,
        "compareRunSections": [section],
    }
