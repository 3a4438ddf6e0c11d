"""The records of a run: description (RunSpec), events (RunEvent) and result (RunResult)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    SerializeAsAny,
    ValidationInfo,
    model_validator,
)

from trainers.deepspeed import check_deepspeed, complete_deepspeed
from trainers.interfaces import Method, ModelSource, Task
from trainers.plugins import Frozen, Written, resolve


def _method(value: object) -> Method:
    return resolve(Method, "trainers.methods", value)  # type: ignore[type-abstract]  # a base


def _task(value: object) -> Task:
    return resolve(Task, "trainers.tasks", value)  # type: ignore[type-abstract]  # a base


def _model(value: object, info: ValidationInfo) -> ModelSource:
    base: type[ModelSource] = ModelSource  # type: ignore[type-abstract]
    return resolve(base, "trainers.models", value, folders_of(info))


def folders_of(info: ValidationInfo) -> tuple[Path, ...]:
    """Return the folders for a study's relative paths, as passed to the validation."""
    folders: tuple[Path, ...] = (info.context or {}).get("folders", ())
    return folders


AnyMethod = Annotated[SerializeAsAny[Method], BeforeValidator(_method)]
AnyTask = Annotated[SerializeAsAny[Task], BeforeValidator(_task)]
_DeepSpeed = Annotated[Mapping[str, JsonValue], BeforeValidator(complete_deepspeed)]
AnyModel = Annotated[SerializeAsAny[ModelSource], BeforeValidator(_model)]


class Seeds(Written):
    """The seeds of a run, one for each source of randomness."""

    init: int = Field(ge=0, lt=2**32)
    """New weights and dropout."""
    order: int = Field(ge=0, lt=2**32)
    """Order of the training rows."""
    data: int = Field(default=2022, ge=0, lt=2**32)
    """Few-shot draw and the validation split carved from train."""


class TrainSettings(Written):
    """How a run is trained. Every field may be fixed in a study or named in a search space."""

    epochs: int = Field(default=3, ge=1)
    """Passes over the training rows."""
    batch_size: int = Field(default=32, ge=1)
    """Rows a device sees in one forward pass (the micro-batch)."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Micro-batches an optimizer step sums."""
    eval_batch_size: int = Field(default=64, ge=1)
    """Rows in one forward pass of an evaluation."""
    max_length: int = Field(default=128, ge=4)
    """Most tokens of a text; the rest is cut."""
    learning_rate: float = Field(default=2e-5, gt=0)
    """Peak learning rate."""
    schedule: Literal["linear", "cosine", "constant", "constant_with_warmup", "polynomial"] = (
        "linear"
    )
    """Learning rate over the steps, after warm-up."""
    warmup: float = Field(default=0.0, ge=0)
    """Warm-up steps; below 1, their share of all steps."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's decoupled decay."""
    optimizer: Literal["adamw_torch_fused", "adamw_torch", "adafactor", "sgd"] = (
        "adamw_torch_fused"
    )
    """transformers' name of the optimizer."""
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of AdamW's first moment."""
    adam_beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of AdamW's second moment."""
    adam_epsilon: float = Field(default=1e-8, gt=0)
    """AdamW's denominator term."""
    max_grad_norm: float = Field(default=1.0, ge=0)
    """Largest norm of the gradient, else it is clipped; 0: never."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target spread evenly over the classes."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Autocast type; auto: bf16 where the device computes it fast, else fp32."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass, to save memory."""
    attention: Literal["sdpa", "eager"] = "sdpa"
    """Attention implementation."""
    group_by_length: bool = True
    """Batch rows of like length; each batch is padded to its longest row either way."""
    early_stopping: int | None = Field(default=None, ge=1)
    """Stop after this many epochs without a better validation metric."""
    keep: Literal["best", "last"] = "best"
    """Epoch whose weights are scored: best on validation, or the last."""


class RunSpec(Frozen):
    """One training under one set of seeds, described fully."""

    task: AnyTask
    """Data and labels."""
    model: AnyModel
    """Pretrained model and tokenizer."""
    method: AnyMethod
    """Method: the way of training."""
    train: TrainSettings = TrainSettings()
    """How it is trained."""
    seeds: Seeds
    """Where randomness comes from."""
    metric: str = "macro_f1"
    """Validation metric that picks the epoch; `loss` is minimised, all others maximised."""
    read_test: bool = False
    """Score the test split once, at the end. Only confirm runs do."""
    save: bool | str = False
    """Keep the trained weights in the run's folder; a text names the study that keeps them."""
    ranks: int = Field(default=1, ge=1, strict=True)
    """Processes that train together; a step sees ranks x batch_size x gradient_accumulation."""
    deepspeed: _DeepSpeed | None = None
    """DeepSpeed's own JSON; `auto` where the other fields decide. None: without DeepSpeed."""

    @model_validator(mode="after")
    def _parts_agree(self) -> RunSpec:
        self.method.check(self.train)
        if self.deepspeed is not None:
            check_deepspeed(self.deepspeed, self.train, ranks=self.ranks)
        return self

    def placed(self, folders: Sequence[Path]) -> RunSpec:
        """Return a copy that looks for its relative paths in these folders, in turn."""
        parts = {"task": self.task.placed(folders), "model": self.model.placed(folders)}
        return self.model_copy(update=parts)

    def digest(self) -> str:
        """Return the run's identity: 16 hex digits of the SHA-256 of its canonical JSON."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __hash__(self) -> int:
        return hash(self.digest())

    def flat(self) -> dict[str, str]:
        """Flatten to dotted names and text, as MLflow's params want it."""
        return {key: str(value) for key, value in flatten(self.model_dump(mode="json"))}


Measure = Literal["process", "allocator"]


class RunEvent(Frozen):
    """Something that happened in a run."""

    kind: Literal["start", "step", "epoch", "refused"]
    """The model is built; steps were logged; an epoch was evaluated; it needs too much memory."""
    time: float
    """Seconds since 1970."""
    step: int = 0
    """Optimizer steps done."""
    epoch: float = 0.0
    """Epochs done."""
    metrics: Mapping[str, float] = {}
    """Named values, such as train/loss or validation/macro_f1."""
    facts: Mapping[str, str] = {}
    """Named texts, such as precision or device."""


class ParameterCounts(Frozen):
    """Numbers of scalar parameters."""

    total: int
    """All, frozen ones included."""
    trained: int
    """Those that receive a gradient."""
    head: int
    """Of the trained ones, those in the classification head."""


class RunResult(Frozen):
    """The result of a finished run. Every value is a metric of its MLflow run."""

    validation: dict[str, float]
    """Metrics of the kept epoch on the validation split."""
    test: dict[str, float] | None
    """Metrics on the test split; None where the spec does not allow reading it."""
    epoch: float
    """Epoch whose weights were kept."""
    parameters: ParameterCounts
    """Numbers of parameters, in all and trained."""
    memory: dict[str, int]
    """Peak bytes by phase and source, such as load/peak_bytes; each rank's below `rank0/`."""
    seconds: dict[str, float]
    """Wall seconds by phase: load, train, eval."""
    facts: dict[str, str]
    """Environment, data digests, device and precision."""
    expected: Mapping[str, float] = {}
    """Predicted memory, in bytes like the measured, and the error of the prediction."""

    def metrics(self) -> dict[str, float]:
        """Return all numbers under the names that the tracker uses."""
        values: dict[str, float] = {f"validation/{k}": v for k, v in self.validation.items()}
        values |= {f"test/{k}": v for k, v in (self.test or {}).items()}
        memory = {**self.memory, **self.expected}
        values |= {f"memory/{k}": float(v) for k, v in memory.items()}
        values |= {f"seconds/{k}": v for k, v in self.seconds.items()}
        counts = self.parameters
        values |= {f"parameters/{k}": float(v) for k, v in counts.model_dump().items()}
        return values | {"parameters/adapter": float(counts.trained - counts.head)}


class Workspace(Frozen):
    """The folders and resources of a run. No part of its identity."""

    data_dir: Path
    """Task files."""
    folders: tuple[Path, ...] = ()
    """Folders for the spec's relative paths: the study's folder, then the data folder."""
    cache_dir: Path
    """Tokenised data, shared by runs."""
    run_dir: Path
    """This run's own folder."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of the run, all ranks together."""
    measure: Measure = "process"
    """allocator: on a CPU also by torch's own record, exact to the byte, for a slower run."""
    rows: Path | None = None
    """The task's rows in one file, sent by another machine; none: the task reads `data_dir`."""
    frugal: bool = False
    """Return freed memory to the system at once, which is slower; done under a `memory_cap`."""


class Rank(Frozen):
    """One of a run's processes, and the address where they meet. The default is a run of one."""

    rank: int = Field(default=0, ge=0)
    """Number among all processes of the run; 0 emits the events and returns the result."""
    local_rank: int = Field(default=0, ge=0)
    """Number of its own device among the CUDA devices that it sees."""
    world_size: int = Field(default=1, ge=1)
    """Processes of the run."""
    master_address: str = "127.0.0.1"
    """Host of rank 0."""
    master_port: int = Field(default=0, ge=0, lt=2**16)
    """Port that rank 0 listens on."""


Emit = Callable[[RunEvent], None]


class StopRun(Exception):  # a request, not an error
    """Raised by the receiver of events to end a run early; `train` lets it pass."""


def flatten(value: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Return the leaves of nested mappings, with dotted names."""
    if not isinstance(value, dict):
        return [(prefix, value)]
    named = {f"{prefix}.{key}" if prefix else key: inner for key, inner in value.items()}
    return [leaf for name, inner in named.items() for leaf in flatten(inner, name)]
