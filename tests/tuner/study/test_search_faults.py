"""What goes wrong in transformers' own `hyperparameter_search` does not go wrong here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.specs import QUICK, toy_spec, toy_study, workspace
from tests.tuner.study.test_study import Place
from trainers.contract import RunEvent, StopRun
from tuner.config import read_executor


def test_values_reach_their_own_trial_and_no_other(tmp_path: Path) -> None:
    """No sampled weight decay leaks, a sampled LoRA rank changes the model.

    Every run of an arm logs the same params.
    """
    place = Place(tmp_path / "store")
    space = {
        "method.rank": {"choice": [1, 2, 4]},
        "train.weight_decay": {"float": [0.0, 0.5]},
    }
    config = toy_study(
        train=QUICK | {"epochs": 1},
        search={"trials": 4, "seeds": [7], "pruner": "none", "sampler": "random"},
        arms={"lora": {"method": "lora", "space": space}, "head": {"method": "head"}},
    )
    place.run(config)
    trials = {trial.number: trial for trial in place.trials(config, "lora")}
    found = [r for r in place.records() if r.group.phase == "search"]
    assert len({trial.params["method.rank"] for trial in trials.values()}) > 1
    for record in found:
        assert record.group.trial is not None
        point = trials[record.group.trial].params
        assert float(record.params["train.weight_decay"]) == point["train.weight_decay"]
        per_rank = record.metrics["parameters/adapter"] / point["method.rank"]
        assert per_rank == found[0].metrics["parameters/adapter"] / int(
            found[0].params["method.rank"]
        )
    outside = [r for r in place.records() if r.group.arm == "head"]
    assert {float(r.params["train.weight_decay"]) for r in outside} == {0.0}
    for arm in ("lora", "head"):
        keys = [frozenset(r.params) for r in place.records() if r.group.arm == arm]
        assert len(set(keys)) == 1
        assert len(keys[0]) > 30


def test_pruned_runs_end_at_once_and_leave_no_memory_behind(tmp_path: Path) -> None:
    """The run after three stopped ones has the peak of the run before them."""
    executor = read_executor("process").open()

    def peak(name: str) -> int:
        result = executor.run(toy_spec(), lambda event: None, workspace(tmp_path / name))
        return result.memory["train/peak_bytes"]

    def stop(event: RunEvent) -> None:
        if event.kind == "epoch":
            raise StopRun("pruned")

    before = peak("before")
    for number in range(3):
        with pytest.raises(StopRun):
            executor.run(toy_spec(), stop, workspace(tmp_path / str(number)))
    assert peak("after") == pytest.approx(before, rel=0.02)
    executor.close()
