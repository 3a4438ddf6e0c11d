"""Each run sees its own CUDA devices; each rank trains on one of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.specs import toy_spec, workspace
from trainers.errors import ConfigError
from trainers.train.devices import take_devices
from tuner.config import read_executor


def _cuda_devices() -> int:
    import torch

    return torch.cuda.device_count()


@pytest.mark.parametrize(
    ("places", "seen"),
    [([0], "3"), ([1], "5"), ([2], "3"), ([0, 1], "3,5"), ([1, 2], "5,3")],
    ids=str,
)
def test_runs_side_by_side_take_other_devices(
    monkeypatch: pytest.MonkeyPatch, places: list[int], seen: str
) -> None:
    """Of the devices that the launcher was given; with more runs than devices they share."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    take_devices(places)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == seen


def test_more_ranks_than_devices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ranks on one device would wait for each other's memory."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    with pytest.raises(
        ConfigError, match=r"ranks: got 3, each needs a CUDA device; allowed: up to 2"
    ):
        take_devices([0, 1, 2])


@pytest.mark.parametrize("said", ["", None])
def test_without_devices_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, said: str | None
) -> None:
    """Hidden, or not there: the environment stays as it is."""
    if said is None:
        if _cuda_devices():
            pytest.skip("this machine has CUDA devices")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    take_devices([0, 1, 2, 3])
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == said


@pytest.mark.gpu
@pytest.mark.skipif("_cuda_devices() < 1", reason="needs a CUDA device")
def test_a_run_of_one_rank_trains_on_one_device(tmp_path: Path) -> None:
    """The Trainer spreads nothing, and the allocator's figures are there."""
    executor = read_executor("process").open()
    result = executor.run(toy_spec(), lambda event: None, workspace(tmp_path))
    executor.close()
    assert (result.facts["device"], result.facts["gpu_count"]) == ("cuda", "1")
    assert result.memory["train/cuda_reserved_bytes"] >= result.memory["train/peak_bytes"] > 0


@pytest.mark.gpu
@pytest.mark.skipif("_cuda_devices() < 2", reason="needs two CUDA devices")
def test_two_ranks_train_on_a_device_each(tmp_path: Path) -> None:
    """Over NCCL, with the losses of one rank and the memory of both."""
    executor = read_executor("process").open()
    smooth = {"kind": "tiny", "name": "tiny-smooth", "dropout": 0.0}
    losses: dict[int, list[float]] = {1: [], 2: []}
    for ranks, seen in losses.items():
        spec = toy_spec(model=smooth, ranks=ranks, train={"batch_size": 32 // ranks})
        result = executor.run(
            spec,
            lambda event, seen=seen: seen.append(event.metrics.get("train/loss", 0.0)),
            workspace(tmp_path / str(ranks)),
        )
    executor.close()
    assert losses[2] == pytest.approx(losses[1], abs=1e-3)
    assert result.facts["gpu_count"] == "2"
    assert min(result.memory[f"rank{n}/train/cuda_reserved_bytes"] for n in (0, 1)) > 0
