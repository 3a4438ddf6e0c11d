"""Draw the order of a training's rows as its run will, and keep the batches that decide its peak.

What a batch meets decides with its size: the first micro-batch of a training neither gradients nor
the optimizer's state, the first of a later step that state alone, any other gradients too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

from pydantic import Field

from trainers.contract import RunSpec
from trainers.plugins import Frozen


class BatchShape(Frozen):
    """The shape of a micro-batch."""

    rows: int = Field(ge=1)
    """Rows."""
    length: int = Field(ge=1)
    """Tokens of each, padding included."""

    def joined(self, other: BatchShape) -> BatchShape:
        """Return the smallest that is as large as both."""
        return BatchShape(rows=max(self.rows, other.rows), length=max(self.length, other.length))

    def covers(self, other: BatchShape) -> bool:
        """Say whether it is as large as the other."""
        return self.joined(other) == self


class BatchShapes(Frozen):
    """What is known of the batches that a run will see."""

    steps: tuple[tuple[BatchShape, ...], ...] = Field(min_length=1, max_length=2)
    """The micro-batches of the first optimizer step, and of one that stands for all later ones;
    of each the first, and one that stands for all others. A run of a single step never holds the
    optimizer's state beside the activations of a step."""
    eval_length: int
    """Tokens of the longest row that is scored."""

    @property
    def longest(self) -> int:
        """Return the tokens of the longest row."""
        return max(self.eval_length, *(batch.length for step in self.steps for batch in step))


def decisive_shapes(spec: RunSpec, lengths: Sequence[int], *, eval_length: int) -> BatchShapes:
    """Return a training's first step and one that stands for all later ones.

    Args:
        spec: The run; its order seed counts where `order_decides`.
        lengths: Tokens of each training row.
        eval_length: Tokens of the longest row that is scored.
    """
    steps = [_short(step) for step in _steps(spec, lengths)]
    first, later = steps[0], steps[1:]
    if not later:
        return BatchShapes(steps=(first,), eval_length=eval_length)
    seconds = [step[1] for step in later if len(step) > 1]
    rest = _short([reduce(BatchShape.joined, [step[0] for step in later]), *seconds])
    # What comes later meets at least as much: where it is as large, the first need not be told.
    covered = len(first) <= len(rest) and all(map(BatchShape.covers, rest, first))
    return BatchShapes(steps=(rest if covered else first, rest), eval_length=eval_length)


def order_decides(spec: RunSpec) -> bool:
    """Say whether the order of rows decides what a run needs.

    Else each row comes into the only batch of a step that has the optimizer's state.
    """
    return spec.train.epochs == 1 or spec.train.gradient_accumulation > 1


def _short(step: Sequence[BatchShape]) -> tuple[BatchShape, ...]:
    """Return the first micro-batch and one for all others, which meet gradients."""
    if len(step) == 1:
        return tuple(step)
    first, second = step[0], reduce(BatchShape.joined, step[1:])
    return (second if second.covers(first) else first, second)


def _steps(spec: RunSpec, lengths: Sequence[int]) -> Iterator[list[BatchShape]]:
    """Yield the micro-batches of each optimizer step; of several ranks the largest."""
    share = spec.train.batch_size * spec.ranks
    known = list(lengths)
    filler = -len(known) % share if spec.ranks > 1 else 0  # see `with_filler`
    known += [min(known)] * min(1, filler)
    sampler = _sampler(spec, lengths)
    for _ in range(spec.train.epochs if order_decides(spec) else 2):
        order = [*sampler, *[len(lengths)] * filler]
        parts = [order[start : start + share] for start in range(0, len(order), share)]
        batches = [
            BatchShape(rows=-(-len(part) // spec.ranks), length=max(known[row] for row in part))
            for part in parts
        ]
        count = spec.train.gradient_accumulation
        yield from (batches[start : start + count] for start in range(0, len(batches), count))


def _sampler(spec: RunSpec, lengths: Sequence[int]) -> Any:
    """Return the sampler that the Trainer, accelerate and `RunCallback` make of the spec."""
    import torch
    from accelerate.data_loader import SeedableRandomSampler
    from transformers.trainer_pt_utils import LengthGroupedSampler

    generator = torch.Generator().manual_seed(spec.seeds.order)
    if not spec.train.group_by_length:
        rows = range(len(lengths))
        return SeedableRandomSampler(rows, generator=generator, data_seed=spec.seeds.order)
    step = spec.train.batch_size * spec.train.gradient_accumulation * spec.ranks
    return LengthGroupedSampler(step, lengths=list(lengths), generator=generator)
