"""The record of the CPU allocator: exact, by phase, over readings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from trainers.measure import allocator
from trainers.measure.allocator import AllocatorRecord

MEGABYTE = 2**20


@pytest.fixture
def record() -> Iterator[AllocatorRecord]:
    """Make one, and end it."""
    record = AllocatorRecord()
    yield record
    record.close()


def hold(megabytes: int) -> torch.Tensor:
    """Allocate."""
    return torch.empty(megabytes * MEGABYTE, dtype=torch.uint8)


def test_the_peak_is_that_of_living_tensors_since_the_last_reading(
    record: AllocatorRecord,
) -> None:
    """What is freed counts in its phase and not in the next; what stays counts in both."""
    kept = hold(3)
    passing = hold(5)
    del passing
    assert record.take() == {"allocator_bytes": 8 * MEGABYTE}
    assert record.take() == {"allocator_bytes": 3 * MEGABYTE}
    del kept
    assert record.take() == {"allocator_bytes": 3 * MEGABYTE}
    assert record.take() == {"allocator_bytes": 0}


def test_what_lives_for_a_moment_inside_an_operator_counts(record: AllocatorRecord) -> None:
    """No tensor of Python's ever has it: a product of transposed parts is packed first."""
    weights = torch.randn(512, 512)
    record.take()
    torch.linalg.inv(weights)
    assert record.take()["allocator_bytes"] >= 3 * 512 * 512 * 4


def test_a_model_is_held_though_it_was_loaded_before(record: AllocatorRecord) -> None:
    """`hold` sets the count, whatever was noted while it loaded."""
    loading = hold(9)
    record.hold(4 * MEGABYTE)
    assert record.take() == {"allocator_bytes": 9 * MEGABYTE}
    more = hold(1)
    assert record.take() == {"allocator_bytes": 5 * MEGABYTE}
    del loading, more


def test_readings_in_between_change_nothing(
    record: AllocatorRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read after every batch, as the clock would ask in a long run, or once: the same peak."""

    def train() -> int:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 512), nn.GELU(), nn.Linear(512, 64))
        optimizer = torch.optim.AdamW(model.parameters())
        record.take()
        for _ in range(3):
            model(torch.randn(128, 64)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            record.tick()
        return record.take()["allocator_bytes"]

    rarely = train()
    monkeypatch.setattr(allocator, "_SECONDS_BETWEEN_READINGS", 0.0)
    assert train() == rarely > 128 * 512 * 4


def test_it_agrees_with_torchs_profiler() -> None:
    """The public profiler notes everything else too; its memory events sum up to the same."""

    def work() -> None:
        layer = nn.Linear(256, 256)
        layer(torch.randn(64, 256)).relu().sum().backward()

    record = AllocatorRecord()
    work()
    mine = record.take()["allocator_bytes"]
    record.close()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    held = peak = 0
    for event in profiler.profiler.kineto_results.events():
        held += event.nbytes() if event.name() == "[memory]" else 0
        peak = max(peak, held)
    assert mine == peak > 64 * 256 * 4
