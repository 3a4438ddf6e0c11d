"""Turn the Trainer's callbacks into RunEvents, keep the best epoch, stop early."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trainers.contract import Emit, Rank, RunEvent, RunSpec
from trainers.deepspeed import local_partition, restore_partition
from trainers.errors import Diverged, RunFailed
from trainers.measure import Meter, holds_in_memory
from trainers.train.batches import shard

if TYPE_CHECKING:
    from torch import nn

_CURVES = {"loss": "train/loss", "learning_rate": "train/learning_rate"}
ROW_LOSS = "row_loss"
"""Score used instead of the Trainer's own loss, which counts rows that accelerate repeats."""


class RunCallback(TrainerCallback):
    """Watches one training: emits events, switches the meter's phase, remembers the best epoch."""

    def __init__(
        self, spec: RunSpec, emit: Emit, meter: Meter, *, run_dir: Path, rank: Rank
    ) -> None:
        self.kept: dict[str, float] = {}
        self.kept_epoch = 0.0
        self.epoch = 0.0
        self._spec = spec
        self._emit = emit
        self._meter = meter
        self._rank = rank
        self._weights = _Weights(run_dir / f"best.{rank.rank}.pt")
        self._epochs_without_gain = 0

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Give the sampler a generator of its own, so that `seeds.order` alone sets the order.

        The ranks draw the same order and share it; each draws its own dropout.

        Otherwise the Trainer's length-grouped sampler draws from torch's global generator,
        which belongs to the init seed. Evaluation must keep the order of its rows: the Trainer
        would group them at random too, and predictions would no longer match their rows.
        """
        dataloader, ranks = kwargs["train_dataloader"], self._rank.world_size
        sampler = dataloader.get_sampler()
        if ranks > 1:
            share = ranks * self._spec.train.batch_size
            sampler = shard(dataloader, share=share, step=share * args.gradient_accumulation_steps)
        if self._rank.rank > 0:
            torch.manual_seed(self._spec.seeds.init + self._rank.rank)
        sampler.generator = torch.Generator().manual_seed(self._spec.seeds.order)
        args.train_sampling_strategy = "random"

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Emit a point of the training curves; a loss that is not finite ends the run.

        A point is the mean since the last one, and at the end the mean of all steps: no step is
        left out, and none waits until its loss is read.
        """
        logs = logs or {}
        for name in ("loss", "train_loss"):
            if name in logs and not math.isfinite(float(logs[name])):
                raise Diverged(f"train/loss is {logs[name]} at step {state.global_step}")
        if "loss" not in logs:
            return
        metrics = {name: float(logs[key]) for key, name in _CURVES.items() if key in logs}
        norm = float(logs.get("grad_norm", math.nan))
        if math.isfinite(norm):
            metrics["train/grad_norm"] = norm
        self._send("step", state, metrics)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Tell the meter."""
        self._meter.tick()

    def on_prediction_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Tell the meter."""
        self._meter.tick()

    def on_epoch_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Enter the eval phase: the evaluation comes next."""
        self.epoch = float(state.epoch or 0.0)
        self._meter.switch("eval")

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Emit the epoch's validation metrics; keep its weights if they are the best so far."""
        scores = validation_scores(metrics or {})
        if "loss" not in scores:
            raise Diverged(f"validation/loss is not finite at epoch {state.epoch or 0:g}")
        if self._better(scores):
            self.kept, self.kept_epoch = scores, float(state.epoch or 0.0)
            self._epochs_without_gain = 0
            if self._spec.train.keep == "best" and state.global_step < state.max_steps:
                self._weights.keep(kwargs["model"])
            else:
                self._weights.forget()
        else:
            self._epochs_without_gain += 1
        patience = self._spec.train.early_stopping
        if patience is not None and self._epochs_without_gain >= patience:
            control.should_training_stop = True
        self._send("epoch", state, {f"validation/{k}": v for k, v in scores.items()})
        self._meter.switch("train")

    def restore(self, model: nn.Module) -> None:
        """Put the kept epoch's weights back into the model."""
        self._weights.restore(model)

    def _better(self, scores: dict[str, float]) -> bool:
        if not self.kept or self._spec.train.keep == "last":
            return True
        name = self._spec.metric
        if name not in scores:
            raise RunFailed(f"metric: got {name!r}; allowed: {', '.join(sorted(scores))}")
        gain = scores[name] - self.kept[name]
        return gain < 0 if name == "loss" else gain > 0

    def _send(self, kind: str, state: TrainerState, metrics: dict[str, float]) -> None:
        event = {"kind": kind, "time": time.time(), "step": state.global_step}
        self._emit(
            RunEvent.model_validate(event | {"epoch": float(state.epoch or 0), "metrics": metrics})
        )


def validation_scores(metrics: dict[str, float]) -> dict[str, float]:
    """Return the scores of an evaluation without the Trainer's prefix and its timings."""
    timings = ("runtime", "samples_per_second", "steps_per_second", "model_preparation_time")
    named = {key.split("_", 1)[1]: float(v) for key, v in metrics.items() if "_" in key}
    if ROW_LOSS in named:
        named["loss"] = named.pop(ROW_LOSS)
    return {
        key: value for key, value in named.items() if key not in timings and math.isfinite(value)
    }


class _Weights:
    """A copy of the trained tensors: in memory up to a quarter of what is free, else in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._held: dict[str, torch.Tensor] | None = None

    def keep(self, model: nn.Module) -> None:
        trained = {n: local_partition(p) for n, p in model.named_parameters() if p.requires_grad}
        size = sum(t.numel() * t.element_size() for t in trained.values())
        if self._held is None and not holds_in_memory(size):
            torch.save(trained, self._file)
        elif self._held is None:
            self._held = {n: t.to("cpu", copy=True) for n, t in trained.items()}
        else:
            for name, tensor in trained.items():
                self._held[name].copy_(tensor)

    def forget(self) -> None:
        self._held = None
        self._file.unlink(missing_ok=True)

    def restore(self, model: nn.Module) -> None:
        held = self._held
        if held is None and self._file.exists():
            held = torch.load(self._file, weights_only=True)
        if held is None:
            return
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in held:
                    restore_partition(parameter, held[name])
        self.forget()
