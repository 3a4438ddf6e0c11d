"""Translate a RunSpec into transformers' TrainingArguments, without probing any device."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from trainers.contract import RunSpec, TrainSettings

if TYPE_CHECKING:
    from transformers import TrainingArguments

_CURVE_POINTS = 50


def optimizer_steps(settings: TrainSettings, rows: int, *, ranks: int = 1) -> int:
    """Return the number of optimizer steps of a whole training on `rows` rows."""
    micro_batches = math.ceil(rows / (settings.batch_size * ranks))
    return settings.epochs * math.ceil(micro_batches / settings.gradient_accumulation)


def endless_warmup(settings: TrainSettings, rows: int, *, ranks: int = 1) -> str:
    """Return a warning if a training on `rows` rows ends before its warm-up, else ""."""
    steps = optimizer_steps(settings, rows, ranks=ranks)
    if settings.warmup <= max(1, steps):  # below 1, warm-up is a share of them
        return ""
    return (
        f"train.warmup: got {settings.warmup:g} steps; a training has {steps} and ends before the "
        f"learning rate reaches {settings.learning_rate:g}"
    )


def training_arguments(
    spec: RunSpec, run_dir: Path, *, precision: str, rows: int, cpu: bool
) -> TrainingArguments:
    """Return the arguments of one training.

    Args:
        spec: The run.
        run_dir: Folder the Trainer may write to (it writes nothing: no checkpoints).
        precision: `fp32`, `bf16` or `fp16`, resolved for the device.
        rows: Number of training rows; sets how often the loss is logged.
        cpu: Keep off any accelerator.
    """
    from transformers import TrainingArguments

    settings = spec.train
    return TrainingArguments(
        output_dir=str(run_dir),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.eval_batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        optim=settings.optimizer,
        adam_beta1=settings.adam_beta1,
        adam_beta2=settings.adam_beta2,
        adam_epsilon=settings.adam_epsilon,
        max_grad_norm=settings.max_grad_norm,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        activation_checkpointing=settings.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        train_sampling_strategy="group_by_length" if settings.group_by_length else "random",
        seed=spec.seeds.init,
        data_seed=spec.seeds.order,
        eval_strategy="epoch",
        save_strategy="no",
        logging_strategy="steps",
        logging_steps=max(1, optimizer_steps(settings, rows, ranks=spec.ranks) // _CURVE_POINTS),
        logging_nan_inf_filter=False,
        label_names=["labels"],
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=not cpu,
        use_cpu=cpu,
        deepspeed=None if spec.deepspeed is None else dict(spec.deepspeed),
    )
