"""What one rank holds beside a traced step: the engine's states, copies and buffers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trainers.memory.prediction import Categories
from trainers.memory.states import Sharding

_DIVIDED = ("parameters", "gradients", "optimizer")
_MASTER = 4  # bytes of a float32


@dataclass(frozen=True)
class RankShare:
    """A rank's part of the traced categories, and what the trace does not have."""

    shares: Mapping[str, float]
    """Part of a traced category's bytes that the rank keeps."""
    optimizer: int = 0
    """Bytes of the engine's optimizer, which is not traced."""
    passed: int = 0
    """Bytes of tensors that gradients pass through on their way to an offloaded optimizer."""
    buffers: int = 0
    """Bytes that gradients are sent in, and gathered weights, while a step runs."""

    def add(self, peak: Categories, phase: str) -> Categories:
        """Return a phase's peak with the engine's part; while the model loads there is none."""
        if phase == "load":
            return peak
        more = {"optimizer": self.optimizer, "temporaries": self.passed + self.buffers}
        return peak.model_copy(
            update={name: getattr(peak, name) + count for name, count in more.items()}
        )


@dataclass(frozen=True)
class Weights:
    """What the engine divides, in numbers of weights."""

    total: int
    trained: int
    """Those that receive a gradient."""
    largest: int
    """Of the largest trained tensor."""
    hidden: int
    """The model's hidden size."""
    width: int
    """Bytes of a weight."""


def rank_share(sharding: Sharding, weights: Weights) -> RankShare:
    """Say what a rank holds.

    Without DeepSpeed, DistributedDataParallel sends gradients in buckets that together are as
    large as they are. With it, see `optimizer_bytes`; gradients are reduced in buckets of
    `reduce_bucket_size` elements, which are made in full however few the gradients are, and each
    gradient is whole until it is copied there; stage 3 keeps gathered weights up to
    `stage3_max_live_parameters` (stage_1_and_2.py and stage3.py of DeepSpeed 0.19). Where the
    optimizer is offloaded, stages 1 and 2 pass each gradient through a tensor as large as the
    largest, one on the device and one on the host.

    Args:
        sharding: Ranks and stage.
        weights: The model's.
    """
    trained, width = weights.trained, weights.width
    shares = {name: sharding.share(name) for name in _DIVIDED}
    if not sharding.engine:
        return RankShare(shares, buffers=trained * width if sharding.ranks > 1 else 0)
    passed = buffers = 0
    if sharding.stage:
        bucket = weights.hidden**2 if sharding.bucket is None else sharding.bucket
        buffers = (bucket * sharding.buckets + weights.largest) * width
    if sharding.offload_optimizer and sharding.stage < 3:
        passed = weights.largest * width * (1 + sharding.on_cpu)
    if sharding.stage == 3:
        buffers += round(min(sharding.live, weights.total) * width * (1 - shares["parameters"]))
    return RankShare(
        shares,
        optimizer=round(optimizer_bytes(sharding, width=width, trained=trained)),
        passed=passed,
        buffers=buffers,
    )


def optimizer_bytes(sharding: Sharding, *, width: int, trained: int) -> float:
    """Return the bytes of DeepSpeed's optimizer where a rank computes.

    Its moments and a float32 copy of the weights. Stage 0 makes the copy only for half precision;
    from stage 1 on it is the rank's part of the weights, made even where they are float32. Where
    it is offloaded, the host keeps the part's gradients in float32 too, beside the device's.
    """
    copies = sharding.moments + (sharding.stage > 0 or width < _MASTER)
    copies += sharding.offload_optimizer and sharding.on_cpu
    return trained * _MASTER * copies * sharding.share("optimizer")
