"""What a run's memory is: by phase, by source, by rank."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tests.specs import toy_spec, workspace
from trainers.measure.meter import Meter
from trainers.measure.peaks import CudaMemory, across_ranks, nvml_bytes
from trainers.train import train

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
PHASES = {"load", "train", "eval"}


def test_peaks_of_phases_are_apart() -> None:
    """What one phase held and gave back is no part of the next one's peak."""
    meter = Meter("load")
    block = bytearray(os.urandom(1)) * (256 * 2**20)
    del block
    meter.switch("train")
    meter.switch("eval")
    meter.switch("train")
    assert meter.memory["load/peak_bytes"] - meter.memory["train/peak_bytes"] > 200 * 2**20


def test_a_run_has_the_process_peaks_of_each_phase_and_its_baseline(tmp_path: Path) -> None:
    """On a CPU resident memory, and what the process held before there was a model."""
    memory = train(toy_spec(), lambda event: None, workspace(tmp_path)).memory
    assert set(memory) == {f"{phase}/peak_bytes" for phase in PHASES} | {"baseline_bytes"}
    assert 2**20 < memory["baseline_bytes"] <= memory["train/peak_bytes"]


def test_the_allocators_record_is_the_same_in_every_run(tmp_path: Path) -> None:
    """To the byte, which no figure of the process is; and the run's numbers stay as they were."""
    place = workspace(tmp_path)
    recorded = place.model_copy(update={"measure": "allocator"})
    runs = [train(toy_spec(), lambda event: None, where) for where in (recorded, recorded, place)]
    peaks = [
        {name: value for name, value in run.memory.items() if "allocator" in name} for run in runs
    ]
    assert peaks[0] == peaks[1]
    assert set(peaks[0]) == {f"{phase}/allocator_bytes" for phase in PHASES}
    assert peaks[2] == {}
    assert runs[0].validation == runs[2].validation
    weights = 4 * runs[0].parameters.total
    assert peaks[0]["load/allocator_bytes"] >= weights
    assert peaks[0]["train/allocator_bytes"] > 4 * weights  # gradients and two moments
    assert peaks[0]["train/allocator_bytes"] > peaks[0]["eval/allocator_bytes"] > 3 * weights


def test_a_run_that_ends_early_leaves_no_recorder_behind(tmp_path: Path) -> None:
    """The next one can record."""
    place = workspace(tmp_path).model_copy(update={"measure": "allocator"})

    def stop(event: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(toy_spec(), stop, place)
    assert train(toy_spec(), lambda event: None, place).memory["train/allocator_bytes"]


def test_of_several_ranks_the_largest_has_the_plain_name() -> None:
    """Each rank's own stands beside it; a single rank has only the plain names."""
    first = {"train/peak_bytes": 5, "eval/peak_bytes": 9, "baseline_bytes": 1}
    second = {"train/peak_bytes": 7, "eval/peak_bytes": 2, "train/nvml_bytes": 3}
    assert across_ranks([first]) == first
    assert across_ranks([first, second]) == {
        "train/peak_bytes": 7,
        "eval/peak_bytes": 9,
        "baseline_bytes": 1,
        "train/nvml_bytes": 3,
        **{f"rank0/{name}": value for name, value in first.items()},
        **{f"rank1/{name}": value for name, value in second.items()},
    }


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a device")
def test_without_a_device_nvml_has_no_figure() -> None:
    """No driver, or none of this process: nothing, and no error."""
    assert nvml_bytes(os.getpid()) is None


@pytest.mark.gpu
@gpu
def test_cuda_peaks_are_apart_too() -> None:
    """Allocated and reserved; what the allocator kept in reserve is gone in the next phase."""
    memory = CudaMemory()
    block = torch.empty(2**28, dtype=torch.uint8, device="cuda")
    del block
    first, second = memory.take(), memory.take()
    assert first["peak_bytes"] == first["cuda_allocated_bytes"] >= 2**28
    assert first["cuda_reserved_bytes"] >= 2**28 > second["cuda_reserved_bytes"]
    assert first.get("nvml_bytes", 2**29) > first["cuda_reserved_bytes"]


@pytest.mark.gpu
@gpu
def test_a_run_on_a_gpu_has_the_figures_of_the_device(tmp_path: Path) -> None:
    """Beside the process's resident memory."""
    memory = train(toy_spec(), lambda event: None, workspace(tmp_path)).memory
    for name in ("peak", "resident", "cuda_allocated", "cuda_reserved"):
        assert {f"{phase}/{name}_bytes" for phase in PHASES} <= set(memory)
