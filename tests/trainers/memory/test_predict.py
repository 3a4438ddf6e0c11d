"""The prediction against the CPU allocator's own record of the real run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.specs import toy_spec, workspace
from tests.trainers.memory.measured import full_spec, run_peak
from trainers.errors import ModelError
from trainers.memory import predict_memory
from trainers.models.tiny import TOKEN_FORMATS, build_tokenizer, vocabulary
from trainers.train import train

_CELLS: list[tuple[str, str, dict[str, Any]]] = [
    ("tiny-bert", "full", {}),
    ("tiny-roberta", "lora", {}),
    ("tiny-llama", "bottleneck", {"optimizer": "adafactor"}),
    ("tiny-bert", "prefix", {"gradient_accumulation": 3}),
    ("tiny-llama", "full", {"gradient_checkpointing": True}),
    ("tiny-bert", "ia3", {"attention": "eager", "optimizer": "sgd", "label_smoothing": 0.1}),
    ("tiny-bert", "full", {"precision": "bf16", "optimizer": "adamw_torch"}),
    ("tiny-bert", "loha", {}),  # which draws whether a layer is left out
]


@pytest.mark.parametrize(("model", "method", "train"), _CELLS, ids=str)
def test_the_peak_is_what_the_allocator_records(
    tmp_path: Path, model: str, method: str, train: dict[str, Any]
) -> None:
    """Within 1% of what a real run takes, whatever is trained and how."""
    spec = full_spec(tmp_path, model=model, method=method, train={"batch_size": 32, **train})
    predicted = predict_memory(spec, labels=2).peak_bytes
    assert predicted == pytest.approx(run_peak(spec, tmp_path / "run"), rel=0.01)


@pytest.mark.parametrize("kind", ["BOFT", "SHIRA", "VBLORA"])
def test_a_method_that_looks_at_values_is_said_not_to_be_traceable(kind: str) -> None:
    """Of weights while it wraps the model, or of its own tensors later: one line each."""
    config = {"SHIRA": {"r": 2}, "VBLORA": {"vector_length": 16}}.get(kind, {})
    method = {"kind": "peft_any", "type": kind, "config": config}
    with pytest.raises(ModelError, match="cannot be traced: it ") as caught:
        predict_memory(toy_spec(method=method), labels=2)
    assert "\n" not in str(caught.value)


_WIDE = {"vocab_size": 2000, "d_model": 64}
_LAYERS = {
    "t5": {"num_layers": 1, "num_heads": 2, "d_kv": 32, "d_ff": 128},
    "bart": {"encoder_layers": 1, "decoder_layers": 1, "max_position_embeddings": 130}
    | {f"{part}_attention_heads": 2 for part in ("encoder", "decoder")}
    | {f"{part}_ffn_dim": 128 for part in ("encoder", "decoder")},
}


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("architecture", _LAYERS)
def test_a_model_that_picks_its_end_tokens_is_traced(
    tmp_path: Path, architecture: str, method: str
) -> None:
    """Encoder and decoder, and a head on the last end token of each text.

    BART's decoder drops a mask that masks nothing, which fake tensors cannot tell: 3% too much.
    """
    folder = _save(tmp_path / "model", architecture)
    model = {"kind": "hub", "id": str(folder)}
    spec = full_spec(tmp_path, model=model, method=method, train={"batch_size": 16})
    measured = run_peak(spec, tmp_path / "run")
    most = {"t5": 0.01, "bart": 0.04}[architecture]
    assert -0.01 < predict_memory(spec, labels=2).peak_bytes / measured - 1 < most


def test_an_evaluation_keeps_no_states_of_an_encoder(tmp_path: Path) -> None:
    """T5 gives them with its logits; kept for every row they would be all of the peak."""
    folder = _save(tmp_path / "model", "t5")
    model = {"kind": "hub", "id": str(folder)}
    spec = full_spec(tmp_path, scored=200, model=model, method="lora")
    place = workspace(tmp_path / "run").model_copy(update={"measure": "allocator"})
    measured = train(spec, lambda _: None, place).memory["eval/allocator_bytes"]
    assert predict_memory(spec, labels=2).eval_peak_bytes == pytest.approx(measured, rel=0.05)


def _save(folder: Path, architecture: str) -> Path:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    dialect = TOKEN_FORMATS["roberta"]
    ids = vocabulary(dialect)
    names = {f"{name}_token_id": ids[dialect.special[f"{name}_token"]] for name in ("pad", "eos")}
    config = AutoConfig.for_model(
        architecture,
        **_WIDE,
        **_LAYERS[architecture],
        **names,
        decoder_start_token_id=names["eos_token_id"],
    )
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    build_tokenizer(dialect).save_pretrained(folder)
    return folder


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
