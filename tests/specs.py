"""Small real specs and studies for tests: the tiny model on the generated task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainers.contract import RunSpec, Workspace
from tuner.config import StudyConfig, parse_study

QUICK = {"epochs": 2, "learning_rate": 3e-3, "batch_size": 32, "precision": "fp32"}


def toy_spec(**changes: Any) -> RunSpec:
    """Return a spec that trains in about a second; `train` changes single settings."""
    tree: dict[str, Any] = {
        "task": "toy",
        "model": "tiny-bert",
        "method": "full",
        "seeds": {"init": 1, "order": 1},
    }
    train = QUICK | changes.pop("train", {})
    return RunSpec.model_validate(tree | changes | {"train": train})


def workspace(folder: Path, threads: int = 1) -> Workspace:
    """Return folders below `folder`."""
    return Workspace(
        data_dir=folder / "data",
        cache_dir=folder / "cache",
        run_dir=folder / "run",
        threads=threads,
    )


def toy_tree(**changes: Any) -> dict[str, Any]:
    """Return a study as YAML would give it: two arms, one with a search.

    It has no finalists, unless a changed `search` names them: most tests are about other runs.
    """
    if isinstance(changes.get("search"), dict):
        changes["search"] = {"finalists": "none"} | changes["search"]
    rate = {"float": [1e-4, 1e-2], "log": True}
    return {
        "name": "toy-study",
        "tasks": ["toy"],
        "models": ["tiny-bert"],
        "train": QUICK,
        "search": {"trials": 2, "seeds": [7], "pruner": "none", "finalists": "none"},
        "confirm": {"seeds": [1, 2]},
        "executor": {"kind": "inprocess", "threads": 1},
        "arms": {
            "full": {"method": "full", "space": {"train.learning_rate": rate}},
            "head": {"method": "head"},
        },
    } | changes


def toy_study(**changes: Any) -> StudyConfig:
    """Return the study of `toy_tree`, checked."""
    return parse_study(toy_tree(**changes))
