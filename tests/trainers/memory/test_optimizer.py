"""The traced optimizer is the Trainer's own: class, options, and what is decayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import Trainer

from tests.specs import toy_spec
from trainers.memory.optimizer import decayed_names, optimizer_class
from trainers.memory.skeleton import build
from trainers.train.arguments import training_arguments


@pytest.mark.parametrize("name", ["adamw_torch_fused", "adamw_torch", "adafactor", "sgd"])
def test_class_and_options_are_the_trainers(tmp_path: Path, name: str) -> None:
    """For every optimizer that a study may name."""
    spec = toy_spec(train={"optimizer": name, "adam_beta2": 0.98, "learning_rate": 0.01})
    arguments = training_arguments(spec, tmp_path, precision="fp32", rows=1, cpu=True)
    assert optimizer_class(spec.train) == Trainer.get_optimizer_cls_and_kwargs(arguments)


@pytest.mark.parametrize("method", ["full", "lora", "bottleneck", "prefix"])
@pytest.mark.parametrize("model", ["tiny-bert", "tiny-llama"])
def test_the_same_parameters_are_decayed(model: str, method: str) -> None:
    """Neither biases nor norms."""
    built = build(toy_spec(model=model, method=method), labels=2)
    names: Any = Trainer.get_decay_parameter_names  # a method that asks nothing of its object
    found = decayed_names(built)
    assert found == names(None, built)
    assert 0 < len(found) < len(list(built.named_parameters()))
