"""Full fine-tuning leaves a folder that transformers reads by itself."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification

from tests.contracts import LABELS, apply, batch_of, logits_of, train
from trainers.methods import count_parameters
from trainers.methods.full import Full
from trainers.models import quiet
from trainers.models.tiny import Tiny


def test_from_pretrained_reads_the_folder(tmp_path: Path) -> None:
    """Weights, config and label names are there: the logits are bit-equal."""
    source, method = Tiny(), Full()
    model = apply(method, source)
    train(model, batch_of(source), steps=1)
    method.save(model, tmp_path)
    with quiet():
        loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert torch.equal(logits_of(loaded, batch_of(source)), logits_of(model, batch_of(source)))
    assert loaded.config.id2label == dict(enumerate(LABELS))


def test_parameters_partitioned_by_deepspeed_are_counted_whole() -> None:
    """Under ZeRO-3 a parameter is empty until gathered and carries its true size."""
    model = apply(Full(), Tiny())
    whole = count_parameters(model)
    for parameter in model.parameters():
        parameter.ds_numel = parameter.numel()  # type: ignore[attr-defined]
        parameter.data = torch.empty(0)
    assert count_parameters(model) == whole
    assert whole.total > 0
