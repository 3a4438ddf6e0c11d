"""The memory that one configuration needs: predicted, and measured in its runs, if any."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trainers.contract import RunSpec
from trainers.errors import ConfigError, ModelError, SeveralFaults
from trainers.memory import MemoryPeaks
from trainers.plugins import Frozen
from tuner.config import fault_lines

_OPTIONS = {
    "train.batch_size": "--batch-size",
    "train.max_length": "--length",
    "train.precision": "--precision",
    "train.optimizer": "--optimizer",
    "train.gradient_accumulation": "--accumulation",
    "train.attention": "--attention",
    "train.gradient_checkpointing": "--checkpointing",
    "model": "--model",
    "method": "--method",
    "ranks": "--ranks",
}
_WORDS = {
    "model.id:": "--model",
    "method.kind:": "--method:",
    "train.gradient_checkpointing: true": "--checkpointing:",
    "tuning; allowed: false": "tuning",
    "train.max_length": "--length",
    "set train.attention: eager": "set --attention eager",
    " or method.virtual_tokens": "",
}
"""Fields of a run in error messages, and the options that replace them."""
_ADAMW = {"adamw": "adamw_torch_fused"}


class Need(Frozen):
    """One row of the table. All bytes are of one rank."""

    name: str
    """A cell, or a configuration in a few words."""
    trainable_parameters: int
    """Scalars that receive a gradient."""
    predicted_peak_bytes: int
    """Tensors at the peak of load, training and evaluation."""
    framework_bytes: int
    """Other memory of the process or the device; of a study with runs, as measured."""
    categories: Mapping[str, int]
    """Bytes at the training's peak, by category."""
    load_peak_bytes: int
    """Peak while the model loads."""
    train_peak_bytes: int
    """Peak in training."""
    eval_peak_bytes: int
    """Peak in evaluation."""
    saved: float | None = None
    """Share of the baseline's predicted peak that is saved; None for the baseline itself."""
    measured_peak_bytes: int | None = None
    """Largest measured peak of load, training and evaluation in the store's runs; None where there
    is none."""
    measured_predicted_bytes: int | None = None
    """Prediction for the run with that peak, whose point may be a smaller one."""
    runs: int = 0
    """Number of measured runs."""

    @property
    def whole_bytes(self) -> int:
        """Return the peak with the framework's part."""
        return self.predicted_peak_bytes + self.framework_bytes


@dataclass(frozen=True)
class RunOptions:
    """The configuration that the options describe."""

    model: str
    """Short name, Hub name, folder, or a `config.json`."""
    method: str = "full"
    batch_size: int = 32
    length: int = 128
    precision: str = "fp32"
    optimizer: str = "adamw"
    accumulation: int = 1
    attention: str = "sdpa"
    checkpointing: bool = False
    labels: int = 2
    stage: int | None = None
    """Stage of ZeRO; None: no DeepSpeed."""
    ranks: int = 1
    device: str | None = None
    """`cpu` or `cuda`, to predict for; None: this machine's."""

    @property
    def name(self) -> str:
        """Return it in a few words."""
        words = [self.method, f"batch {self.batch_size} x {self.length}", self._precision()]
        words += [f"{self.accumulation} accumulated"] if self.accumulation > 1 else []
        words += ["checkpointing"] if self.checkpointing else []
        return ", ".join([*words, *self._sharing()])

    def _sharing(self) -> list[str]:
        if self.stage is not None:
            return [f"ZeRO {self.stage} on {self.ranks} rank{'s' * (self.ranks > 1)}"]
        return [f"data parallel on {self.ranks} ranks"] if self.ranks > 1 else []

    def _precision(self) -> str:
        """Return the precision; DeepSpeed casts the weights, autocast does not."""
        if self.precision == "fp32":
            return self.precision
        return f"{self.precision} autocast" if self.stage is None else f"{self.precision} weights"

    def spec(self) -> RunSpec:
        """Return the run of this configuration.

        Raises:
            ConfigError: An option's value is invalid.
        """
        tree: dict[str, Any] = {
            "task": "toy",
            "model": _model(self.model),
            "method": self.method,
            "train": {
                "batch_size": self.batch_size,
                "eval_batch_size": self.batch_size,
                "max_length": self.length,
                "precision": self.precision,
                "optimizer": _ADAMW.get(self.optimizer, self.optimizer),
                "gradient_accumulation": self.accumulation,
                "attention": self.attention,
                "gradient_checkpointing": self.checkpointing,
            },
            "seeds": {"init": 0, "order": 0},
            "ranks": self.ranks,
            "deepspeed": None if self.stage is None else _zero(self.stage),
        }
        try:
            return RunSpec.model_validate(tree)
        except ValidationError as error:
            raise SeveralFaults(map(_in_options, fault_lines(error))) from error

    def command(self) -> str:
        """Return the command that predicts this configuration."""
        words = ["tuner", "memory", "--model", self.model, "--method", self.method]
        words += ["--batch-size", str(self.batch_size), "--length", str(self.length)]
        words += ["--precision", self.precision]
        defaults = RunOptions(self.model)
        for field in ("optimizer", "accumulation", "attention", "labels", "device"):
            if getattr(self, field) != getattr(defaults, field):
                words += [f"--{field}", str(getattr(self, field))]
        words += ["--checkpointing"] if self.checkpointing else []
        words += [] if self.stage is None else ["--zero", str(self.stage)]
        words += ["--ranks", str(self.ranks)] if self.ranks > 1 else []
        return shlex.join(words)

    def but(self, **changes: Any) -> RunOptions:
        """Return a copy with some options changed."""
        return replace(self, **changes)


def need_of(configuration: RunOptions) -> Need:
    """Predict one configuration.

    Raises:
        TunerError: An option's value is invalid, or there is no such model.
    """
    from trainers.memory import predict_memory

    spec = configuration.spec()
    device: Any = configuration.device
    try:
        predicted = predict_memory(spec, labels=configuration.labels, device=device)
    except (ConfigError, ModelError) as error:
        kind = ModelError if isinstance(error, ModelError) else ConfigError
        raise kind(_in_options(str(error))) from error
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        shape = f"--batch-size {configuration.batch_size} --length {configuration.length}"
        raise ConfigError(f"{shape}: too many bytes to count; allow fewer") from error
    return need(configuration.name, predicted)


def need(name: str, prediction: MemoryPeaks) -> Need:
    """Return the row of a prediction."""
    return Need(
        name=name,
        predicted_peak_bytes=prediction.peak_bytes,
        categories=prediction.categories.model_dump(),
        **prediction.model_dump(exclude={"categories"}),
    )


def _model(text: str) -> object:
    """Return a model's settings from a short name, a path, or a name on the Hub."""
    from trainers.interfaces import ModelSource
    from trainers.plugins import named

    short = named(ModelSource, "trainers.models")  # type: ignore[type-abstract]  # a base
    if text in short:
        return text
    if not text.strip():
        raise ConfigError("--model: got an empty name; allowed: a model's name or config.json")
    path = Path(text).expanduser()
    if path.suffix == ".json" and not path.is_file():
        raise ConfigError(f"--model {text}: no such file; expected a model's config.json")
    return {"kind": "hub", "id": str(path) if path.exists() else text}


def _zero(stage: int) -> dict[str, Any]:
    """Return the shipped preset of a stage."""
    from tuner.config import ds_configs

    return ds_configs()[f"zero{stage}"]


def _in_options(message: str) -> str:
    """Replace a run's field in an error message by the option that set it."""
    for words, said in _WORDS.items():
        message = message.replace(words, said)
    for field, option in _OPTIONS.items():
        if message.startswith(f"{field}:") or message.startswith(f"{field}."):
            return option + message[len(field) :].replace("'adamw_torch_fused'", "'adamw'")
    return message
