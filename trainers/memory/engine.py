"""What one rank holds beside a traced step: the engine's states, copies and buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainers.memory.prediction import Categories
from trainers.memory.states import STAGES, Sharding

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
    kept: int = 0
    """Bytes that stay: buckets made once and for all, gathered weights."""
    reduced: int = 0
    """Bytes of buckets and of the gradient that is under way, while there are gradients."""

    def add(self, peak: Categories, phase: str) -> Categories:
        """Return a phase's peak with the engine's part; while the model loads there is none."""
        if phase == "load":
            return peak
        reduced = self.reduced if phase == "train" else 0
        more = {"optimizer": self.optimizer, "temporaries": self.passed + self.kept + reduced}
        return peak.model_copy(
            update={name: getattr(peak, name) + count for name, count in more.items()}
        )


@dataclass(frozen=True)
class Weights:
    """What the engine divides, in numbers of weights."""

    total: int
    sizes: Sequence[int]
    """Of the tensors that receive a gradient."""
    hidden: int
    """The model's hidden size."""
    width: int
    """Bytes of a weight."""

    @property
    def trained(self) -> int:
        """Return the number of weights that receive a gradient."""
        return sum(self.sizes)


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
    width = weights.width
    shares = {name: sharding.share(name) for name in _DIVIDED}
    if not sharding.engine:
        return RankShare(shares, kept=weights.trained * width if sharding.ranks > 1 else 0)
    passed = kept = reduced = 0
    largest = max(weights.sizes, default=0)
    if sharding.stage:
        bucket = weights.hidden**2 if sharding.bucket is None else sharding.bucket
        shares["gradients"] = _gradient_share(sharding, weights, bucket)
        made = bucket * width * sharding.buckets
        reduced = largest * width + (made if sharding.stage < STAGES[-1] else 0)
        kept = made if sharding.stage == STAGES[-1] else 0
    if sharding.offload_optimizer and sharding.stage < STAGES[-1]:
        passed = largest * width * (1 + sharding.on_cpu)
    if sharding.stage == STAGES[-1]:
        kept += round(min(sharding.live, weights.total) * width * (1 - shares["parameters"]))
    optimizer = round(optimizer_bytes(sharding, width=width, trained=weights.trained))
    return RankShare(shares, optimizer=optimizer, passed=passed, kept=kept, reduced=reduced)


def _gradient_share(sharding: Sharding, weights: Weights, bucket: int) -> float:
    """Return the part of the gradients that a rank holds.

    In stage 1 those that are larger than a bucket stay whole until the backward pass has ended.
    """
    share = sharding.share("gradients")
    if sharding.stage > 1 or not weights.trained:
        return share
    beyond = sum(size for size in weights.sizes if size > bucket) / weights.trained
    return beyond + (1 - beyond) * share


def optimizer_bytes(sharding: Sharding, *, width: int, trained: int) -> float:
    """Return the bytes of DeepSpeed's optimizer where a rank computes.

    Its moments and a float32 copy of the weights. Stage 0 makes the copy only for half precision;
    from stage 1 on it is the rank's part of the weights, made even where they are float32. Where
    it is offloaded, the host keeps the part's gradients in float32 too, beside the device's.
    """
    copies = sharding.moments + (sharding.stage > 0 or width < _MASTER)
    copies += sharding.offload_optimizer and sharding.on_cpu
    return trained * _MASTER * copies * sharding.share("optimizer")
