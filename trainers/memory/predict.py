"""Predict the memory of a run from its spec alone."""

from __future__ import annotations

from trainers.contract import RunSpec
from trainers.memory.prediction import MemoryPrediction


def predict_memory(spec: RunSpec, *, labels: int, length: int | None = None) -> MemoryPrediction:
    """Trace the run under fake tensors and return its peaks.

    Nothing is downloaded but the model's config, and no tensor is allocated. The batch is the
    worst the run may see: `batch_size` rows of `max_length` tokens, some of them padding.

    Args:
        spec: The run.
        labels: Number of classes.
        length: Tokens of a row, where rows are known to be shorter than `train.max_length`.

    Raises:
        TunerError: No such model, or a method that cannot be applied to it.
    """
    from trainers.measure import resolve_precision
    from trainers.memory.framework import framework_bytes
    from trainers.memory.skeleton import build
    from trainers.memory.trace import trace

    model = build(spec, labels)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    precision = resolve_precision(spec.train.precision)
    ledger = trace(
        model, spec, labels=labels, length=length or spec.train.max_length, precision=precision
    )
    peaks = {phase: ledger.peak(phase, f"{phase} end") for phase in ("load", "train", "eval")}
    return MemoryPrediction(
        categories=peaks["train"],
        load_peak_bytes=peaks["load"].total(),
        train_peak_bytes=peaks["train"].total(),
        eval_peak_bytes=peaks["eval"].total(),
        framework_bytes=framework_bytes(),
        trainable_parameters=trained,
    )
