"""Draw the order of rows as a run will, and keep the batches that decide its peak of memory.

A batch's size decides, and the tensors beside it: none at the first micro-batch of a training, the
optimizer's state at the first of a later step, gradients too at any other.
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
    """Tokens of each row, padding included."""

    def joined(self, other: BatchShape) -> BatchShape:
        """Return the smallest shape that covers both."""
        return BatchShape(rows=max(self.rows, other.rows), length=max(self.length, other.length))

    def covers(self, other: BatchShape) -> bool:
        """Return whether the other shape fits into this one."""
        return self.joined(other) == self


class BatchShapes(Frozen):
    """The shapes of the batches that a run will see."""

    steps: tuple[tuple[BatchShape, ...], ...] = Field(min_length=1, max_length=2)
    """The micro-batches of the first optimizer step, and of one that represents all later ones;
    of each the first, and one that represents all others. A run of a single step never holds the
    optimizer's state beside the activations of a step."""
    eval_length: int
    """Tokens of the longest row that is scored."""

    @property
    def longest(self) -> int:
        """Return the tokens of the longest row."""
        return max(self.eval_length, *(batch.length for step in self.steps for batch in step))


def decisive_shapes(spec: RunSpec, lengths: Sequence[int], *, eval_length: int) -> BatchShapes:
    """Return the shapes of a training's first step, and of one that represents all later ones.

    Args:
        spec: The run; its order seed matters where `order_decides`.
        lengths: Tokens of each training row.
        eval_length: Tokens of the longest row that is scored.
    """
    steps = [_short(step) for step in _steps(spec, lengths)]
    first, later = steps[0], steps[1:]
    if not later:
        return BatchShapes(steps=(first,), eval_length=eval_length)
    seconds = [step[1] for step in later if len(step) > 1]
    rest = _short([reduce(BatchShape.joined, [step[0] for step in later]), *seconds])
    # Later steps have no fewer tensors beside them: a first one that is no larger is redundant.
    covered = len(first) <= len(rest) and all(map(BatchShape.covers, rest, first))
    return BatchShapes(steps=(rest if covered else first, rest), eval_length=eval_length)


def order_decides(spec: RunSpec) -> bool:
    """Return whether a run's memory depends on the order of its rows.

    If not, each row is in the only batch of a step with the optimizer's state.
    """
    return spec.train.epochs == 1 or spec.train.gradient_accumulation > 1


def _short(step: Sequence[BatchShape]) -> tuple[BatchShape, ...]:
    """Return the first micro-batch and one for all others, which have gradients beside them."""
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
    """Return the sampler that the Trainer, accelerate and `RunCallback` make from the spec."""
    import torch
    from accelerate.data_loader import SeedableRandomSampler
    from transformers.trainer_pt_utils import LengthGroupedSampler

    generator = torch.Generator().manual_seed(spec.seeds.order)
    if not spec.train.group_by_length:
        rows = range(len(lengths))
        return SeedableRandomSampler(rows, generator=generator, data_seed=spec.seeds.order)
    step = spec.train.batch_size * spec.train.gradient_accumulation * spec.ranks
    return LengthGroupedSampler(step, lengths=list(lengths), generator=generator)
