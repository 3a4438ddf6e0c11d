"""Run a training's steps and an evaluation under fake tensors, and record their allocations.

Each line does as the Trainer does in `train`: the same optimizer class with the same
settings, clipping, autocast around the forward pass, accumulation. torch is imported at the top:
only a prediction imports this file.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)

from trainers.contract import RunSpec
from trainers.errors import CannotTrace, ModelError
from trainers.memory.allocations import AllocationTrace
from trainers.memory.batch_shapes import BatchShape, BatchShapes
from trainers.memory.optimizer import make_optimizer
from trainers.memory.overrides import ByValue, CudaAttention
from trainers.memory.skeleton import materialize
from trainers.train import mean_loss

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
_CUDA_ROUNDING = 512  # bytes, the smallest block of torch's CUDA allocator


@dataclass(frozen=True)
class TraceSettings:
    """Batches, precision and device of a trace."""

    rows: BatchShapes
    """The batches of one or two steps: the first makes the optimizer's state; the second has it
    from its start."""
    precision: str
    """`fp32`, `bf16` or `fp16`."""
    cuda: bool = False
    """Follow the allocations of a CUDA device's kernels, else a CPU's."""
    engine: bool = False
    """DeepSpeed trains: the model has been cast, and no optimizer is traced."""


def trace(model: nn.Module, spec: RunSpec, setting: TraceSettings) -> AllocationTrace:
    """Return the allocations of the optimizer steps and an evaluation, marked by phase.

    Raises:
        CannotTrace: The model depends on the values of its tensors.
    """
    try:
        return _trace(model, spec, setting)
    except (DataDependentOutputException, DynamicOutputShapeException) as error:
        raise CannotTrace(
            f"model: {spec.model.name} ({type(model).__name__}) cannot be traced: it depends on "
            f"the values of its tensors ({error.func})"
        ) from error


def _trace(model: nn.Module, spec: RunSpec, setting: TraceSettings) -> AllocationTrace:
    allocations = AllocationTrace(_CUDA_ROUNDING if setting.cuda else 1)
    with (
        FakeTensorMode(allow_non_fake_inputs=True),
        allocations,
        ByValue(),
        CudaAttention() if setting.cuda else nullcontext(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        allocations.mark("load")
        materialize(model)
        allocations.name(model.parameters(), "parameters")
        allocations.name(model.buffers(), "buffers")
        allocations.mark("load end")
        run = _TracedRun(model, spec, allocations, setting)
        allocations.mark("train")
        first, later = setting.rows.steps[0], setting.rows.steps[1:]
        if later == (first,):  # it takes no less memory than an equal one before it
            run.begin_optimizer()
        else:
            run.step(first)
        for step in later:
            run.step(step)
        allocations.mark("train end")
        allocations.mark("eval")
        run.evaluate(setting.rows.eval_length)
        allocations.mark("eval end")
    return allocations


class _TracedRun:
    """A model with its optimizer, as the Trainer prepares them."""

    def __init__(
        self, model: nn.Module, spec: RunSpec, allocations: AllocationTrace, setting: TraceSettings
    ) -> None:
        self._model = model
        self._name = spec.model.name
        self._settings = spec.train
        self._allocations = allocations
        self._loss = mean_loss(spec.train.label_smoothing)
        self._optimizer = (
            None if setting.engine else make_optimizer(model, spec, cuda=setting.cuda)
        )
        config: Any = model.config
        config.use_cache = False  # as the Trainer does
        if spec.train.gradient_checkpointing:
            options: dict[str, Any] = {"use_reentrant": False}
            if setting.cuda:  # torch suspends the mode in `backward`, where layers run again
                options["context_fn"] = lambda: (nullcontext(), CudaAttention())
            enable: Any = model.activation_checkpointing_enable
            enable(activation_checkpointing_kwargs=options)
        if setting.precision in HALF and not setting.engine:
            _autocast(model, HALF[setting.precision])

    def step(self, shapes: Sequence[BatchShape]) -> None:
        """Do one optimizer step; two micro-batches represent any larger number."""
        settings = self._settings
        self._model.train()
        # The loader is one batch ahead of the training.
        ahead = settings.gradient_accumulation + 1 - len(shapes)
        batches = [
            self._batch(shape.rows, shape.length) for shape in (*shapes, *[shapes[-1]] * ahead)
        ]
        rows = settings.batch_size * settings.gradient_accumulation
        for batch in batches[: len(shapes)]:
            self._backward(dict(batch), rows)
        trained = [p for p in self._model.parameters() if p.requires_grad]
        if settings.max_grad_norm > 0:
            nn.utils.clip_grad_norm_(trained, settings.max_grad_norm)
        self._update()

    def begin_optimizer(self) -> None:
        """Make the optimizer's state, with empty gradients."""
        for parameter in self._model.parameters():
            parameter.grad = torch.empty_like(parameter) if parameter.requires_grad else None
        self._allocations.name((p.grad for p in self._model.parameters()), "gradients")
        self._update()

    def evaluate(self, length: int) -> None:
        """Score a batch, while the loss and the logits of one before it are kept."""
        self._model.eval()
        rows = self._settings.eval_batch_size
        config: Any = self._model.config
        kept = torch.empty(rows, config.num_labels), torch.empty(())
        with torch.no_grad():
            batch = self._batch(rows, length)
            labels = batch.pop("labels")
            self._loss(self._forward(batch), labels)
        del kept

    def _update(self) -> None:
        if self._optimizer is not None:
            self._optimizer.step()
            states = [v for state in self._optimizer.state.values() for v in state.values()]
            self._allocations.name((s for s in states if isinstance(s, torch.Tensor)), "optimizer")
        self._model.zero_grad()

    def _backward(self, batch: dict[str, torch.Tensor], rows: int) -> None:
        labels = batch.pop("labels")
        loss = self._loss(self._forward(batch), labels, num_items_in_batch=rows)
        del batch, labels
        self._allocations.name_new("activations")
        loss.backward()  # type: ignore[no-untyped-call]  # torch
        self._allocations.name((p.grad for p in self._model.parameters()), "gradients")

    def _forward(self, batch: dict[str, torch.Tensor]) -> Any:
        try:
            return self._model(**batch)
        except (AttributeError, TypeError) as error:  # its config lacks a field
            said = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelError(
                f"model: {self._name} ({type(self._model).__name__}) cannot be run: {said}"
            ) from error

    def _batch(self, rows: int, length: int) -> dict[str, torch.Tensor]:
        names = ["input_ids", "attention_mask"]
        config: Any = self._model.config
        if getattr(config, "type_vocab_size", 0) > 1:
            names.append("token_type_ids")
        batch = {name: torch.ones(rows, length, dtype=torch.int64) for name in names}
        batch["labels"] = torch.zeros(rows, dtype=torch.int64)
        self._allocations.name(batch.values(), "activations")
        return batch


def _autocast(model: nn.Module, dtype: torch.dtype) -> None:
    """Wrap the forward pass as accelerate does: autocast inside, outputs back in float32."""
    from accelerate.utils import convert_outputs_to_fp32

    forward: Any = model.forward
    cast = torch.autocast("cpu", dtype=dtype)(forward.__func__)
    model.forward = MethodType(convert_outputs_to_fp32(cast), model)
