"""Compute each rank's part of parameters, gradients and optimizer state, without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainers.errors import ConfigError, known
from trainers.memory.prediction import Categories

if TYPE_CHECKING:
    from trainers.contract import RunSpec

PRECISIONS = ("fp32", "bf16", "fp16")
OPTIMIZERS = {"adamw": 2, "adamw_torch": 2, "sgd": 0}
"""Moments in float32 that an optimizer keeps for a weight."""
STAGES = (0, 1, 2, 3)
_DIVIDED = ("parameters", "gradients", "optimizer")
_MASTER = 4  # bytes of a float32


@dataclass(frozen=True)
class Sharding:
    """How ranks share a run's states: the stage of ZeRO, and the parts in host memory."""

    ranks: int = 1
    stage: int = 0
    """1 partitions the optimizer's state, 2 gradients too, 3 weights too (Rajbhandari et al. 2020,
    ZeRO: Memory Optimizations Toward Training Trillion Parameter Models, section 5)."""
    offload_optimizer: bool = False
    offload_parameters: bool = False
    on_cpu: bool = False
    """Whether the ranks compute on the CPU: offloaded tensors are in the same memory then."""
    engine: bool = False
    """Whether DeepSpeed trains: it casts the model instead of using autocast, and from stage 1 on
    steps on a float32 copy of the weights, also where they are float32 already."""
    reduces_at_once: bool = False
    """Whether gradients are sent to their rank during the backward pass in stage 1 too, as in
    DeepSpeed where communication overlaps, unless micro-batches are accumulated."""
    moments: int = 2
    """Numbers in float32 that the engine's optimizer keeps of a weight: AdamW's two."""
    bucket: int | None = 500_000_000
    """Elements of gradients that are reduced at once (`reduce_bucket_size`); None: `auto`, for
    which transformers uses the square of the model's hidden size."""
    buckets: int = 1
    """Buckets at once: two where communication overlaps with computing, except in stage 3."""
    live: int = 1_000_000_000
    """Weights that stage 3 leaves gathered (`stage3_max_live_parameters`)."""

    @classmethod
    def of(cls, spec: RunSpec, *, on_cpu: bool) -> Sharding:
        """Read it from a run's DeepSpeed config; without one, every rank holds everything."""
        if spec.deepspeed is None:
            return cls(ranks=spec.ranks)
        zero: Any = spec.deepspeed.get("zero_optimization") or {}
        sizes = {"bucket": "reduce_bucket_size", "live": "stage3_max_live_parameters"}
        overlaps = bool(zero.get("overlap_comm", zero.get("stage") == STAGES[-1]))
        given = {
            name: round(zero[key]) for name, key in sizes.items() if _is_number(zero.get(key))
        }
        given |= {"bucket": None} if zero.get(sizes["bucket"]) == "auto" else {}
        return cls(
            ranks=spec.ranks,
            stage=int(zero.get("stage", 0)),
            offload_optimizer=_on_host(zero, "offload_optimizer"),
            offload_parameters=_on_host(zero, "offload_param"),
            on_cpu=on_cpu,
            engine=True,
            moments=2 if "adamw" in spec.train.optimizer else 0,
            reduces_at_once=spec.train.gradient_accumulation == 1 and overlaps,
            buckets=2 if overlaps and zero.get("stage") != STAGES[-1] else 1,
            **given,
        )

    def share(self, category: str) -> float:
        """Return the part of a category's bytes that one rank keeps on its device."""
        gradients = 1 if self.reduces_at_once else 2
        first_stage = {"optimizer": 1, "gradients": gradients, "parameters": 3}[category]
        offloaded = {
            "optimizer": self.offload_optimizer,
            "gradients": self.offload_optimizer and self.stage >= first_stage,
            "parameters": self.offload_parameters and self.stage == first_stage,
        }
        if offloaded[category] and not self.on_cpu:
            return 0.0
        return 1 / self.ranks if self.stage >= first_stage else 1.0


@dataclass(frozen=True)
class StateBytes:
    """Bytes of one rank's states, on its device."""

    parameters: float
    gradients: float
    optimizer: float

    @property
    def total(self) -> float:
        """Return the sum."""
        return self.parameters + self.gradients + self.optimizer


def state_bytes(
    parameters: float, *, precision: str, optimizer: str, sharding: Sharding | None = None
) -> StateBytes:
    """Return the states of a model whose weights are all trained.

    In float32 a weight takes 4 bytes, its gradient 4 and AdamW's moments 8. In half precision it
    is 2 and 2, and the optimizer's part includes a float32 copy of the weight: 16 bytes
    either way.

    Args:
        parameters: Number of weights.
        precision: One of `PRECISIONS`.
        optimizer: One of `OPTIMIZERS`.
        sharding: Ranks and stage.

    Raises:
        ConfigError: A value is invalid.
    """
    if not 1 <= parameters < math.inf:  # false for nan
        raise ConfigError(f"--parameters: must be at least 1 and finite, got {parameters:g}")
    if precision not in PRECISIONS:
        raise ConfigError(f"--precision: got {precision!r}; known: {known(PRECISIONS)}")
    if optimizer not in OPTIMIZERS:
        raise ConfigError(
            f"--optimizer: got {optimizer!r}; known without a model: {known(OPTIMIZERS)}"
        )
    width = 4 if precision == "fp32" else 2
    master = 0 if precision == "fp32" else 4
    shared = sharding or Sharding()
    return StateBytes(
        parameters=parameters * width * shared.share("parameters"),
        gradients=parameters * width * shared.share("gradients"),
        optimizer=parameters * (4 * OPTIMIZERS[optimizer] + master) * shared.share("optimizer"),
    )


@dataclass(frozen=True)
class RankShare:
    """A rank's part of the traced categories, and bytes that are not in the trace."""

    shares: Mapping[str, float]
    """Part of a traced category's bytes that the rank keeps."""
    optimizer: int = 0
    """Bytes of the engine's optimizer, which is not traced."""
    passed: int = 0
    """Bytes of tensors that copy gradients to an offloaded optimizer."""
    kept: int = 0
    """Bytes that stay: buckets that are made once, gathered weights."""
    reduced: int = 0
    """Bytes of buckets and of the gradient being reduced, while there are gradients."""

    def add(self, peak: Categories, phase: str) -> Categories:
        """Return a phase's peak with the engine's part, which is 0 while the model loads."""
        if phase == "load":
            return peak
        reduced = self.reduced if phase == "train" else 0
        more = {"optimizer": self.optimizer, "temporaries": self.passed + self.kept + reduced}
        return peak.model_copy(
            update={name: getattr(peak, name) + count for name, count in more.items()}
        )


@dataclass(frozen=True)
class Weights:
    """The model that the engine partitions, in numbers of weights."""

    total: int
    sizes: Sequence[int]
    """Weights of each tensor that receives a gradient."""
    hidden: int
    """The model's hidden size."""
    width: int
    """Bytes of a weight."""

    @property
    def trained(self) -> int:
        """Return the number of weights that receive a gradient."""
        return sum(self.sizes)


def rank_share(sharding: Sharding, weights: Weights) -> RankShare:
    """Return the bytes of a rank.

    Without DeepSpeed, DistributedDataParallel sends gradients in buckets that together are as
    large as the gradients. With it, see `optimizer_bytes`; gradients are reduced in buckets of
    `reduce_bucket_size` elements, allocated in full even for few gradients, and each
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

    In stage 1, gradients larger than a bucket stay whole until the backward pass has ended.
    """
    share = sharding.share("gradients")
    if sharding.stage > 1 or not weights.trained:
        return share
    beyond = sum(size for size in weights.sizes if size > bucket) / weights.trained
    return beyond + (1 - beyond) * share


def optimizer_bytes(sharding: Sharding, *, width: int, trained: int) -> float:
    """Return the bytes of DeepSpeed's optimizer on a rank's device.

    These are moments and a float32 copy of the weights. Stage 0 makes the copy only for half
    precision; from stage 1 on it is the rank's part, made even of float32 weights. Where
    it is offloaded, the host keeps the part's gradients in float32 too, beside the device's.
    """
    copies = sharding.moments + (sharding.stage > 0 or width < _MASTER)
    copies += sharding.offload_optimizer and sharding.on_cpu
    return trained * _MASTER * copies * sharding.share("optimizer")


def _on_host(zero: Mapping[str, Any], key: str) -> bool:
    return (zero.get(key) or {}).get("device", "none") not in ("none", None)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
