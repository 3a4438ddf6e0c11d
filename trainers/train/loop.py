"""Train one RunSpec: one loop for every method."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from pathlib import Path
from traceback import format_exc
from typing import TYPE_CHECKING, Any

from trainers.contract import Emit, Rank, RunEvent, RunResult, RunSpec, Workspace
from trainers.data import (
    WARNING_PREFIX,
    EncodedTask,
    TaskData,
    encode_task,
    encoded_lengths,
    highest_token,
    load_task,
    read_rows,
    splits_of,
    survey_lengths,
    survey_rows,
)
from trainers.deepspeed import gather_trained, partition_parameters, uses_zero3
from trainers.errors import CannotBuild, OutOfMemory, TunerError, one_line
from trainers.measure import (
    Meter,
    across_ranks,
    environment,
    missing_memory,
    resolve_precision,
    spare_memory,
)
from trainers.methods import count_parameters
from trainers.train.arguments import endless_warmup, training_arguments
from trainers.train.batches import with_filler
from trainers.train.predictions import keep_predictions, longest_first, score

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from torch import nn
    from transformers import (
        EvalPrediction,
        PreTrainedTokenizerBase,
        Trainer,
        TrainingArguments,
    )

    from trainers.train.callback import RunCallback


@dataclass(frozen=True)
class _Parts:
    """The loaded parts of a training: data, tokenizer, model."""

    data: TaskData
    encoded: EncodedTask
    tokenizer: PreTrainedTokenizerBase
    model: nn.Module


def train(
    spec: RunSpec, emit: Emit, workspace: Workspace, *, rank: Rank | None = None
) -> RunResult:
    """Train by the spec and return the result.

    Args:
        spec: The run.
        emit: Called with every event, in order. It may raise StopRun, which ends the training
            and passes through.
        workspace: Folders and threads.
        rank: This process among the run's; None: its only one. Ranks are started by
            `trainers.train.rank.train_rank`, which connects them first.

    Raises:
        OutOfMemory: The memory of the device or the process is used up.
        Diverged: Loss or logits are not finite, in training or in an evaluation.
        CannotBuild: Model and method do not fit together.
        TunerError: The data is invalid.
    """
    import torch

    rank = rank or Rank()
    torch.set_num_threads(max(1, workspace.threads // rank.world_size))
    workspace.run_dir.mkdir(parents=True, exist_ok=True)
    spare_memory(workspace)
    meter = Meter("load", workspace.measure)
    send = emit if rank.rank == 0 else _ignore
    try:
        return _train(spec, send, workspace=workspace, meter=meter, rank=rank)
    except Exception as error:
        reason = missing_memory(error)
        if reason is None:
            raise
    finally:
        meter.close()
    # Outside of the handler, whose traceback would keep the run's tensors alive.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    raise OutOfMemory(f"out of memory ({meter.phase}): {reason}", meter.phase)


def _train(
    spec: RunSpec, emit: Emit, *, workspace: Workspace, meter: Meter, rank: Rank
) -> RunResult:
    import torch
    from transformers import set_seed

    from trainers.train.callback import RunCallback

    precision = resolve_precision(spec.train.precision)
    cpu = not torch.cuda.is_available()
    if cpu and precision == "fp16":
        raise CannotBuild("train.precision: fp16 needs a CUDA device; use auto, bf16 or fp32")
    set_seed(spec.seeds.init)
    parts = _load(spec, workspace, meter)
    facts = environment() | {"precision": precision} | _data_facts(spec, parts)
    if workspace.frugal and facts["device"] == "cpu":
        facts["malloc"] = "frees at once"
    facts["threads"] = str(workspace.threads)  # of the run, shared by its ranks
    emit(RunEvent(kind="start", time=time.time(), facts=facts))
    meter.switch("train")
    callback = RunCallback(spec, emit, meter, run_dir=workspace.run_dir, rank=rank)
    arguments = training_arguments(
        spec, workspace.run_dir, precision=precision, rows=len(parts.encoded.train), cpu=cpu
    )
    if uses_zero3(spec.deepspeed):
        partition_parameters(parts.model, arguments.hf_deepspeed_config.config)
    trainer = _trainer(spec, parts, arguments, callback)
    trainer.train()
    meter.switch("eval")
    callback.restore(parts.model)
    test = _score_test(trainer, parts, workspace.run_dir, rank) if spec.read_test else None
    if spec.save:
        _save(spec, parts, trainer, folder=workspace.run_dir / "model", rank=rank)
    meter.switch("end")
    return RunResult(
        validation=callback.kept,
        test=test,
        epoch=callback.kept_epoch,
        parameters=count_parameters(parts.model),
        memory=_memory_of_ranks(meter.memory, rank.world_size),
        seconds=meter.seconds,
        facts=facts,
    )


def _load(spec: RunSpec, workspace: Workspace, meter: Meter) -> _Parts:
    data = _load_rows(spec, workspace)
    tokenizer = spec.model.tokenizer()
    encoded = encode_task(
        data, tokenizer, max_length=spec.train.max_length, cache_dir=workspace.cache_dir
    )
    meter.before_model()
    model = _build(spec, data.labels)
    _check_vocabulary(spec, encoded, model)
    meter.model_built(model)
    return _Parts(data, encoded, tokenizer, model)


def _build(spec: RunSpec, labels: tuple[str, ...]) -> nn.Module:
    """Load the model and apply the method.

    Raises:
        CannotBuild: They do not fit together, whatever the seeds.
    """
    try:
        return spec.method.apply(spec.model.model(labels, spec.train.attention))
    except TunerError as error:
        raise CannotBuild(str(error)) from error
    except Exception as error:
        if missing_memory(error):
            raise
        raise CannotBuild(f"{spec.model.name}: {one_line(error)}", format_exc()) from error


def _check_vocabulary(spec: RunSpec, encoded: EncodedTask, model: Any) -> None:
    """Refuse tokens without an embedding in the model: torch would raise an index error."""
    known, highest = model.config.vocab_size, highest_token(encoded)
    if highest >= known:
        raise CannotBuild(
            f"model {spec.model.name}: its tokenizer gives token {highest}; the model has 0 to "
            f"{known - 1}; use the tokenizer that the model was trained with"
        )


def _load_rows(spec: RunSpec, workspace: Workspace) -> TaskData:
    if workspace.rows is not None:
        return read_rows(workspace.rows)
    return load_task(spec.task, workspace.data_dir, spec.seeds.data)


def _trainer(
    spec: RunSpec, parts: _Parts, arguments: TrainingArguments, callback: RunCallback
) -> Trainer:
    import torch
    from transformers import DataCollatorWithPadding, PrinterCallback, Trainer

    from trainers.train.callback import ROW_LOSS
    from trainers.train.loss import check_finite, mean_loss

    loss = mean_loss(spec.train.label_smoothing)

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        truth: Any = prediction.label_ids
        logits: Any = prediction.predictions
        check_finite(logits, f"at epoch {callback.epoch:g}")
        scores = score(parts.data.labels, truth, logits.argmax(axis=-1))
        if spec.ranks == 1:
            return scores
        tensors = torch.from_numpy(logits), torch.from_numpy(truth)
        return scores | {ROW_LOSS: float(loss({"logits": tensors[0]}, tensors[1]))}

    validation = parts.encoded.validation
    trainer = Trainer(
        model=parts.model,
        args=arguments,
        train_dataset=_training_rows(spec, parts.encoded.train),
        eval_dataset=validation.select(longest_first(validation["length"])),
        data_collator=DataCollatorWithPadding(parts.tokenizer),
        processing_class=parts.tokenizer,
        compute_metrics=compute_metrics,
        preprocess_logits_for_metrics=_logits_alone,
        compute_loss_func=loss,
        callbacks=[callback],
    )
    trainer.remove_callback(PrinterCallback)  # the Trainer adds it where tqdm is off
    return trainer


def _training_rows(spec: RunSpec, rows: Dataset) -> Dataset:
    if spec.ranks == 1:
        return rows
    return with_filler(rows, spec.ranks * spec.train.batch_size)


def _score_test(
    trainer: Trainer, parts: _Parts, run_dir: Path, rank: Rank
) -> dict[str, float] | None:
    """Score the test split, its rows back in the task's order; rank 0 alone writes the file."""
    import numpy

    from trainers.train.callback import validation_scores

    order = longest_first(parts.encoded.test["length"])
    output = trainer.predict(parts.encoded.test.select(order), metric_key_prefix="test")
    if rank.rank > 0:
        return None
    logits = numpy.empty_like(output.predictions, dtype="float64")
    logits[order] = output.predictions
    kept = keep_predictions(parts.data, logits, run_dir)
    return validation_scores(output.metrics or {}) | kept


def _logits_alone(outputs: Any, labels: torch.Tensor) -> torch.Tensor:
    """Return the logits alone; T5 and BART return the encoder's states too."""
    logits: torch.Tensor = outputs[0] if isinstance(outputs, tuple) else outputs
    return logits


def _data_facts(spec: RunSpec, parts: _Parts) -> dict[str, str]:
    """Return facts of the data: digests, numbers of rows, and the findings of a survey."""
    data = parts.data
    facts = {f"data.{split}": digest for split, digest in data.digests.items()}
    facts |= {f"rows.{split}": str(len(rows)) for split, rows in splits_of(data).items()}
    lengths = survey_lengths(encoded_lengths(data, parts.encoded), [spec.train.max_length])
    warmup = endless_warmup(spec.train, len(data.train), ranks=spec.ranks)
    facts |= {f"{WARNING_PREFIX}warmup": warmup} if warmup else {}
    return facts | survey_rows(data).facts() | lengths.facts()


def _save(spec: RunSpec, parts: _Parts, trainer: Trainer, *, folder: Path, rank: Rank) -> None:
    from trainers.train.trained_model import save_trained

    if uses_zero3(spec.deepspeed):
        gather_trained(parts.model, trainer.deepspeed, keep=rank.rank == 0)
    if rank.rank == 0:
        data, tokenizer = parts.data, parts.tokenizer
        save_trained(spec, parts.model, folder, labels=data.labels, tokenizer=tokenizer)


def _memory_of_ranks(own: dict[str, int], ranks: int) -> dict[str, int]:
    """Gather the peaks of all ranks; every rank must call it."""
    if ranks == 1:
        return own
    from torch import distributed

    every: list[dict[str, int]] = [{}] * ranks
    distributed.all_gather_object(every, own)
    return across_ranks(every)


def _ignore(event: RunEvent) -> None:
    """Drop an event of a rank other than the first."""
