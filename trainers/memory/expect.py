"""Predict a run's memory for the rows that it will see, and read the free memory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainers.contract import RunSpec, Workspace
from trainers.data import encode_task, load_task
from trainers.measure import (
    free_bytes,
    holds_in_memory,
    private_bytes,
    resolve_precision,
    spare_memory,
)
from trainers.memory.batch_shapes import BatchShapes, decisive_shapes, order_decides
from trainers.memory.predict import Device, follows_cuda, predict_memory
from trainers.memory.prediction import MemoryPeaks
from trainers.memory.sharding import Sharding
from trainers.plugins import Frozen

_PHASES = ("load", "train", "eval")
_NO_BYTES = {"learning_rate", "schedule", "warmup", "weight_decay", "early_stopping", "keep"} | {
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "group_by_length",
}
"""Settings without effect on the size of a tensor, `keep` but for the copy that is added here."""


_BESIDE_BYTES = 10_000_000
"""Memory of a training on a CPU besides tensors and rows, above its process's before: the
objects of model, adapter, Trainer and autograd, stacks of threads, buffers of MKL. 3 to 8 MB in
runs of `tiny-bert` whose tensors took 10 to 260 MB, where malloc returns what is freed; some MB
more in wide models (decision 19)."""
_LEAST_URGENT = 19
"""Of Unix's levels of priority."""


@dataclass(frozen=True)
class RunShape:
    """A run with its rows: their shapes and the memory that they take."""

    spec: RunSpec
    """The run, with batches that its rows can fill."""
    labels: int
    """Number of classes."""
    rows: BatchShapes
    private_bytes: int
    """The process's own memory with rows and tokenizer loaded."""


class ExpectedMemory(Frozen):
    """The memory that one rank of a run will need, and the free memory, in bytes."""

    load_peak_bytes: int
    """Tensors while the model is loaded."""
    train_peak_bytes: int
    """Tensors in training; on a CPU with the copy of the best epoch's weights."""
    eval_peak_bytes: int
    """Tensors in an evaluation."""
    framework_bytes: int
    """The device's context, without tensors; on a CPU the process's own memory, with the
    run's rows and tokenizer."""
    free_bytes: int
    """The device's free memory at this moment; on a CPU that of the machine or its cgroup."""

    @property
    def needed_bytes(self) -> int:
        """Return the run's peak, framework included."""
        peaks = (self.load_peak_bytes, self.train_peak_bytes, self.eval_peak_bytes)
        return self.framework_bytes + max(peaks)


def fill_token_cache(spec: RunSpec, workspace: Workspace) -> None:
    """Write a run's tokens into the cache, as the run itself would.

    Raises:
        TunerError: Data or model that cannot be used.
    """
    spare_memory(workspace)
    load_shape(spec, workspace)


def expect_memory(spec: RunSpec, workspace: Workspace) -> ExpectedMemory:
    """Predict by the lengths and numbers of the task's rows; keep the trace in the cache.

    A search run is predicted with the test rows too, although it does not read them: a point whose
    confirm run would not fit must not be searched, and both share a trace.

    On a CPU, call it in a process like the run's, which has done nothing before, and after the
    rows were tokenised: its memory with the rows loaded is that of the run.

    Raises:
        TunerError: Data or model that cannot be used.
    """
    import torch

    cuda = torch.cuda.is_available()
    spare_memory(workspace)
    seen = load_shape(spec, workspace)
    predicted = _predict(seen, workspace.cache_dir / "memory")
    kept = _kept_bytes(spec, predicted)
    return ExpectedMemory(
        load_peak_bytes=predicted.load_peak_bytes,
        train_peak_bytes=predicted.train_peak_bytes + kept,
        eval_peak_bytes=predicted.eval_peak_bytes + kept,
        framework_bytes=predicted.framework_bytes if cuda else seen.private_bytes + _BESIDE_BYTES,
        free_bytes=free_bytes(),
    )


def expect_in_background(spec: RunSpec, workspace: Workspace) -> ExpectedMemory:
    """Do as `expect_memory`, in a process of low priority.

    Raises:
        TunerError: Data or model that cannot be used.
    """
    os.nice(_LEAST_URGENT)
    return expect_memory(spec, workspace)


def predict_rows(
    spec: RunSpec, workspace: Workspace, *, device: Device | None = None
) -> MemoryPeaks:
    """Predict a run by the lengths and numbers of its task's rows.

    On a CPU the copy of the best epoch's weights is among the buffers.

    Args:
        spec: The run.
        workspace: Its folders.
        device: Device to predict for; by default this machine's.

    Raises:
        TunerError: Data or model that cannot be used.
    """
    predicted = _predict(load_shape(spec, workspace), workspace.cache_dir / "memory", device)
    kept = _kept_bytes(spec, predicted, device)
    buffers = predicted.categories.buffers + kept
    return predicted.model_copy(
        update={
            "categories": predicted.categories.model_copy(update={"buffers": buffers}),
            "train_peak_bytes": predicted.train_peak_bytes + kept,
            "eval_peak_bytes": predicted.eval_peak_bytes + kept,
        }
    )


def load_shape(spec: RunSpec, workspace: Workspace) -> RunShape:
    """Load the rows as a run does.

    Raises:
        TunerError: Data or model that cannot be used.
    """
    data = load_task(spec.task, workspace.data_dir, spec.seeds.data)
    length = spec.train.max_length
    tokenizer = spec.model.tokenizer()
    tokens = encode_task(data, tokenizer, max_length=length, cache_dir=workspace.cache_dir)
    held = private_bytes()
    scored = (tokens.validation, tokens.test)
    share = -(-len(tokens.train) // spec.ranks)
    rows = decisive_shapes(
        spec,
        tokens.train["length"],
        eval_length=max(max(split["length"]) for split in scored),
    )
    seen = _with_batches(spec, share, max(map(len, scored)))
    return RunShape(spec=seen, labels=len(data.labels), rows=rows, private_bytes=held)


def weights_bytes(spec: RunSpec) -> int:
    """Return the bytes of the model's weights alone in one rank, whatever task and method.

    Raises:
        TunerError: No such model.
    """
    from trainers.memory.skeleton import outline

    sharding = Sharding.of(spec, on_cpu=not follows_cuda(None))
    half = sharding.engine and resolve_precision(spec.train.precision) != "fp32"
    numbers = sum(p.numel() for p in outline(spec, 2).parameters())
    return round(numbers * (2 if half else 4) * sharding.share("parameters"))


def memory_key(spec: RunSpec) -> str:
    """Return a text that is equal for runs that need the same memory."""
    tree = _sized(spec) | {"data": spec.seeds.data, "epochs": spec.train.epochs > 1}
    if order_decides(spec):
        grouped = spec.train.group_by_length
        tree |= {"order": [spec.seeds.order, spec.train.epochs, grouped]}
    return json.dumps(tree | {"keep": spec.train.keep}, sort_keys=True)


def compare_with_measured(expected: ExpectedMemory, memory: Mapping[str, int]) -> dict[str, float]:
    """Return predicted and measured memory side by side, with the error.

    Both count bytes of tensors: by the CPU allocator's record where there is one, on a GPU by the
    CUDA allocator. Without either, measured is the growth of resident memory since the process
    had no model, which includes libraries and the reserve of malloc.

    Args:
        expected: The result of `expect_memory`.
        memory: `RunResult.memory`.

    Returns:
        `predicted/..._bytes`; `measured/<phase>_peak_bytes`; and the relative error of each
        prediction: `predicted/error` of the training's peak, `predicted/load_error` and
        `predicted/eval_error` of the others.
    """
    fields = expected.model_dump(exclude={"free_bytes"})
    values = {f"predicted/{name}": float(value) for name, value in fields.items()}
    measured = {phase: _measured(memory, phase) for phase in _PHASES}
    values |= {f"measured/{phase}_peak_bytes": float(n) for phase, n in measured.items() if n}
    names = {"train": "error", "load": "load_error", "eval": "eval_error"}
    for phase, name in names.items():
        if measured[phase]:
            values[f"predicted/{name}"] = fields[f"{phase}_peak_bytes"] / measured[phase] - 1
    return values


def _measured(memory: Mapping[str, int], phase: str) -> int:
    for source in ("allocator", "cuda_allocated"):
        if f"{phase}/{source}_bytes" in memory:
            return memory[f"{phase}/{source}_bytes"]
    return max(0, memory.get(f"{phase}/peak_bytes", 0) - memory.get("baseline_bytes", 0))


def _predict(seen: RunShape, folder: Path, device: Device | None = None) -> MemoryPeaks:
    """Trace, or read the cached result of an equal trace."""
    device = "cuda" if follows_cuda(device) else "cpu"
    of_rows = seen.rows.model_dump()
    text = json.dumps([_traced(seen.spec), seen.labels, of_rows, device], sort_keys=True)
    file = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
    if file.exists():
        return MemoryPeaks.model_validate_json(file.read_text())
    predicted = predict_memory(seen.spec, labels=seen.labels, rows=seen.rows, device=device)
    folder.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(predicted.model_dump_json())
    partial.replace(file)
    return predicted


def _traced(spec: RunSpec) -> dict[str, Any]:
    """Return everything that decides a trace, including the traced code."""
    import peft
    import torch
    import transformers

    tree = _sized(spec)
    del tree["task"]
    tree["train"]["precision"] = resolve_precision(spec.train.precision)
    config = Path(getattr(spec.model, "id", "")) / "config.json"
    content = config.read_bytes() if config.is_file() else b""
    versions = [module.__version__ for module in (torch, transformers, peft)]
    return tree | {"versions": versions, "config": hashlib.sha256(content).hexdigest()}


def _sized(spec: RunSpec) -> dict[str, Any]:
    tree = spec.model_dump(mode="json", exclude={"seeds", "metric", "save", "read_test"})
    train = {k: v for k, v in tree["train"].items() if k not in _NO_BYTES | {"epochs"}}
    train["max_grad_norm"] = spec.train.max_grad_norm > 0
    return tree | {"train": train}


def _kept_bytes(spec: RunSpec, predicted: MemoryPeaks, device: Device | None = None) -> int:
    """Return the copy of the best epoch's weights that a run on a CPU holds."""
    size = 4 * predicted.trainable_parameters
    copied = spec.train.keep == "best" and spec.train.epochs > 1
    held = copied and not follows_cuda(device) and holds_in_memory(size)
    return size if held else 0


def _with_batches(spec: RunSpec, train_rows: int, scored_rows: int) -> RunSpec:
    """Return the spec with batches no larger than the splits that fill them."""
    settings = spec.train
    batches = {
        "batch_size": min(settings.batch_size, train_rows),
        "eval_batch_size": min(settings.eval_batch_size, scored_rows),
    }
    return spec.model_copy(update={"train": settings.model_copy(update=batches)})
