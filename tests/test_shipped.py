"""What is shipped: every study loads and holds, every DeepSpeed preset is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tuner.config import (
    ds_configs,
    dump_study,
    load_study,
    parse_study,
    plan,
    shipped_folder,
    study_names,
)

STUDIES = sorted(shipped_folder("configs").rglob("*.yaml"))
PRESETS = sorted(shipped_folder("ds_configs").rglob("*"))
EXAMPLE = """
name: restaurant-full-vs-adapters
tasks: [restaurant_sup, restaurant_fs]
models: [roberta-base]
metric: macro_f1
train: {epochs: 3, batch_size: 32, weight_decay: 0.01, precision: auto}
search: {trials: 12, seeds: [7], pruner: hyperband}
confirm: {seeds: [347913, 594729, 162850, 95842, 43288]}
executor: {kind: process, workers: 1}
arms:
  full:
    method: {kind: full}
    space: {train.learning_rate: {float: [1.0e-5, 1.0e-4], log: true}}
  lora:
    method: {kind: lora}
    space:
      train.learning_rate: {float: [1.0e-4, 3.0e-3], log: true}
      method.rank: {choice: [4, 8, 16]}
  bottleneck:
    method: {kind: bottleneck, variant: pfeiffer}
    space: {train.learning_rate: {float: [1.0e-4, 3.0e-3], log: true}}
"""


def _stem(path: Path) -> str:
    return path.stem


def test_every_study_file_is_a_shipped_study() -> None:
    """No YAML lies under configs that `tuner list studies` does not name."""
    assert len(STUDIES) >= 6
    assert sorted(path.stem for path in STUDIES) == study_names()


@pytest.mark.parametrize("path", STUDIES, ids=_stem)
def test_a_shipped_study_holds(path: Path) -> None:
    """It loads by name and by path alike, is named like its file, and says what it asks."""
    study = load_study(path.stem)
    assert study == load_study(path)
    assert study.name == path.stem
    assert study.description.endswith(("?", "."))
    assert len(plan(study)) == len(study.tasks) * len(study.models) * len(study.arms)


@pytest.mark.parametrize("path", STUDIES, ids=_stem)
def test_the_resolved_study_is_the_same_study(path: Path) -> None:
    """What the tracker keeps, every default written out, loads as an equal study."""
    study = load_study(path)
    again = parse_study(yaml.safe_load(dump_study(study)))
    assert [cell.fingerprint() for cell in plan(again)] == [c.fingerprint() for c in plan(study)]
    assert again == study


@pytest.mark.parametrize(
    ("name", "cells"),
    [("course-report-full", 9), ("course-report-adapter", 3), ("course-report-few-shot", 9)],
)
def test_a_study_of_the_course_report_has_its_cells_and_seeds(name: str, cells: int) -> None:
    """The published tables: their number of cells, five seeds, nothing searched."""
    study = load_study(name)
    assert len(plan(study)) == cells
    assert not any(cell.searched for cell in plan(study))
    seeds = [seed.init for seed in study.confirm.seeds]
    assert seeds == [347913, 594729, 162850, 95842, 43288]


@pytest.mark.parametrize("name", ["quickstart", "close-the-gap", "restaurant-minilm"])
def test_a_comparing_study_searches_every_arm(name: str) -> None:
    """Full fine-tuning, LoRA and bottleneck are searched, with the one budget there is."""
    study = load_study(name)
    assert {"full", "lora", "bottleneck"} <= set(study.arms)
    assert all(cell.searched for cell in plan(study))


def test_the_documented_example_is_a_study() -> None:
    """The study that the design shows loads, with six cells."""
    study = parse_study(yaml.safe_load(EXAMPLE))
    assert len(plan(study)) == 6
    assert study.arms["lora"].space["method.rank"].ends() == (4, 8, 16)


@pytest.mark.parametrize("path", PRESETS, ids=_stem)
def test_a_deepspeed_preset_names_its_stage(path: Path) -> None:
    """It is JSON, its stage is the one in its name, and `offload` is said where it happens."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    zero = content["zero_optimization"]
    stage, _, offload = path.stem.removeprefix("zero").partition("-")
    assert zero["stage"] == int(stage)
    devices = [zero[key]["device"] for key in zero if key.startswith("offload_")]
    assert bool(devices) is bool(offload)
    assert set(devices) <= {"cpu"}
    # Else DeepSpeed makes buckets of 500 million elements for the smallest adapter too.
    # In stage 1 a gradient that is larger than a bucket stays, so it is not the smallest there.
    wanted = {"0": None, "1": 50_000_000}.get(stage, "auto")
    assert zero.get("reduce_bucket_size") == wanted


def test_the_presets_are_those_that_are_listed() -> None:
    """`tuner list ds-configs` names every file: ZeRO 0 to 3, and 2 and 3 with offloading."""
    names = ["zero0", "zero1", "zero2", "zero2-offload", "zero3", "zero3-offload"]
    assert sorted(ds_configs()) == names
    assert sorted(path.stem for path in PRESETS) == names
