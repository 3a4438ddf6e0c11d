"""The prediction against the CPU allocator's own record of the real run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.specs import toy_spec
from tests.trainers.memory.measured import full_spec, run_peak
from trainers.memory import predict_memory

_CELLS: list[tuple[str, str, dict[str, Any]]] = [
    ("tiny-bert", "full", {}),
    ("tiny-roberta", "lora", {}),
    ("tiny-llama", "bottleneck", {"optimizer": "adafactor"}),
    ("tiny-bert", "prefix", {"gradient_accumulation": 3}),
    ("tiny-llama", "full", {"gradient_checkpointing": True}),
    ("tiny-bert", "ia3", {"attention": "eager", "optimizer": "sgd", "label_smoothing": 0.1}),
    ("tiny-bert", "full", {"precision": "bf16", "optimizer": "adamw_torch"}),
]


@pytest.mark.parametrize(("model", "method", "train"), _CELLS, ids=str)
def test_the_peak_is_what_the_allocator_records(
    tmp_path: Path, model: str, method: str, train: dict[str, Any]
) -> None:
    """Within 1% of what a real run takes, whatever is trained and how."""
    spec = full_spec(tmp_path, model=model, method=method, train={"batch_size": 32, **train})
    predicted = predict_memory(spec, labels=2).peak_bytes
    assert predicted == pytest.approx(run_peak(spec, tmp_path / "run"), rel=0.01)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_checkpoints_under_cuda_kernels_keep_less(precision: str) -> None:
    """What the layers compute again in backward is traced with the same kernels."""
    large = {"batch_size": 32, "max_length": 256, "precision": precision}
    kept, again = (
        predict_memory(
            toy_spec(model="tiny-llama", train={**large, "gradient_checkpointing": on}),
            labels=2,
            device="cuda",
        )
        for on in (False, True)
    )
    assert again.categories.activations < kept.categories.activations / 2
    assert again.train_peak_bytes < kept.train_peak_bytes


def test_categories_add_up_to_the_peak() -> None:
    """What is shown by category is the training peak, and weights are counted to the byte."""
    prediction = predict_memory(toy_spec(), labels=3)
    assert prediction.categories.total() == prediction.train_peak_bytes
    assert prediction.categories.parameters == 4 * prediction.trainable_parameters
    # Two moments a weight, and a step count a tensor.
    assert prediction.categories.optimizer >= 8 * prediction.trainable_parameters


def test_an_adapter_has_fewer_states_than_full_fine_tuning() -> None:
    """Frozen weights have neither gradients nor moments."""
    full = predict_memory(toy_spec(), labels=3)
    lora = predict_memory(toy_spec(method="lora"), labels=3)
    assert lora.trainable_parameters < full.trainable_parameters / 10
    assert lora.categories.optimizer < full.categories.optimizer / 10
    assert lora.categories.parameters > full.categories.parameters
