"""Shard the rows of each optimizer step over the ranks: together they see what one would."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

_IGNORED = -100
"""Label that torch's cross entropy and the Trainer's count of rows ignore."""


def with_filler(rows: Dataset, share: int) -> Dataset:
    """Append one row without weight in the loss, where the rows do not fill the last batches.

    accelerate would repeat other rows in their place, and these would count twice.

    Args:
        rows: The training rows.
        share: Rows that all ranks together see in one forward pass.
    """
    if len(rows) % share == 0:
        return rows
    from datasets import Dataset, concatenate_datasets

    lengths = rows["length"]
    shortest = rows[min(range(len(rows)), key=lambda row: lengths[row])]
    columns = {name: [value] for name, value in (shortest | {"labels": _IGNORED}).items()}
    return concatenate_datasets([rows, Dataset.from_dict(columns, features=rows.features)])


def shard(dataloader: Any, *, share: int, step: int) -> Any:
    """Give the ranks their batches in the order of one process.

    Args:
        dataloader: The Trainer's, prepared by accelerate: each rank gets every n-th batch.
        share: Rows that all ranks together see in one forward pass.
        step: Rows of an optimizer step.

    Returns:
        The sampler that draws the order; the caller sets its generator.
    """
    rows = _without_filler(dataloader.dataset)
    batches = dataloader.batch_sampler.batch_sampler
    drawn = batches.sampler
    if hasattr(drawn, "lengths"):
        drawn.lengths, drawn.batch_size = drawn.lengths[:rows], step
    else:
        drawn.data_source = range(rows)
    batches.sampler = _Filled(drawn, rows, share)
    return drawn


def _without_filler(dataset: Dataset) -> int:
    filled = dataset[-1]["labels"] == _IGNORED
    return len(dataset) - 1 if filled else len(dataset)


@dataclass(frozen=True)
class _Filled:
    """An order of rows, followed by the filler until the last batches are full."""

    drawn: Any
    rows: int
    share: int

    def __len__(self) -> int:
        return math.ceil(self.rows / self.share) * self.share

    def __iter__(self) -> Iterator[int]:
        yield from self.drawn
        yield from [self.rows] * (len(self) - self.rows)
