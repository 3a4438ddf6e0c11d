"""Predict the memory of a run from its spec alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from trainers.contract import RunSpec
from trainers.errors import ConfigError
from trainers.measure import gc_disabled, gc_frozen, resolve_precision
from trainers.memory.batch_shapes import BatchShape, BatchShapes
from trainers.memory.prediction import MemoryPeaks, framework_bytes
from trainers.memory.sharding import Sharding, Weights, rank_share
from trainers.models import position_count, too_long_message

if TYPE_CHECKING:
    from torch import nn

Device = Literal["cpu", "cuda"]
_PHASES = ("load", "train", "eval")


def follows_cuda(device: Device | None) -> bool:
    """Return whether a CUDA device's kernels are followed; None: if there is one here."""
    import torch

    return torch.cuda.is_available() if device is None else device == "cuda"


def predict_memory(
    spec: RunSpec,
    *,
    labels: int,
    rows: BatchShapes | None = None,
    device: Device | None = None,
) -> MemoryPeaks:
    """Trace the run under fake tensors and return its peaks, for one rank.

    Only the model's config is downloaded, and no tensor is allocated. The batch is the
    largest that the run may see: `batch_size` rows of `max_length` tokens, some of them padding.

    Args:
        spec: The run.
        labels: Number of classes.
        rows: Shapes of its batches; None: they are full, `train.max_length` long and many.
        device: Device to predict for; by default this machine's.

    Raises:
        TunerError: No such model, a method that cannot be applied to it, or rows that are longer
            than its positions.
    """
    with gc_disabled():  # saves a fifth of the seconds of the imports
        from trainers.memory.skeleton import build
        from trainers.memory.trace import HALF, TraceSettings, trace

        model = build(spec, labels)
    cuda = follows_cuda(device)
    sharding = Sharding.of(spec, on_cpu=not cuda)
    precision = resolve_precision(spec.train.precision)
    if sharding.engine and precision in HALF:
        model = model.to(HALF[precision])
    trained = [p.numel() for p in model.parameters() if p.requires_grad]
    rows = rows or _worst(spec)
    _check_length(model, spec, rows)
    setting = TraceSettings(rows, precision, cuda, sharding.engine)
    with gc_frozen():
        allocations = trace(model, spec, setting)
    width = 2 if sharding.engine and precision in HALF else 4
    total = sum(p.numel() for p in model.parameters())
    config: Any = model.config
    hidden = getattr(config.get_text_config(), "hidden_size", 0)
    rank = rank_share(sharding, Weights(total, trained, hidden, width))
    peaks = {
        phase: rank.add(allocations.peak(phase, f"{phase} end", rank.shares), phase)
        for phase in _PHASES
    }
    return MemoryPeaks(
        categories=peaks["train"],
        load_peak_bytes=peaks["load"].total(),
        train_peak_bytes=peaks["train"].total(),
        eval_peak_bytes=peaks["eval"].total(),
        framework_bytes=framework_bytes(cuda=cuda),
        trainable_parameters=sum(trained),
    )


def _worst(spec: RunSpec) -> BatchShapes:
    settings = spec.train
    full = BatchShape(rows=settings.batch_size, length=settings.max_length)
    step = (full,) * min(2, settings.gradient_accumulation)
    return BatchShapes(steps=(step, step), eval_length=settings.max_length)


def _check_length(model: nn.Module, spec: RunSpec, rows: BatchShapes) -> None:
    positions = position_count(model)
    if positions is not None and rows.longest > positions:
        raise ConfigError(too_long_message(spec.model.name, rows.longest, positions))
