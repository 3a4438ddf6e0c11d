"""The evaluation against the allocator's record, and models too large to be measured here."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path

import pytest

from tests.specs import toy_spec, workspace
from tests.trainers.memory.measured import full_spec
from trainers.memory import predict_memory
from trainers.train import train


def test_the_evaluation_is_what_the_allocator_records(tmp_path: Path) -> None:
    """Where batches of the evaluation are larger, so is its predicted peak."""
    sizes = {"batch_size": 4, "eval_batch_size": 32}
    spec = full_spec(tmp_path, scored=96, train=sizes)
    place = workspace(tmp_path / "run").model_copy(update={"measure": "allocator"})
    memory = train(spec, lambda _: None, place).memory
    predicted = predict_memory(spec, labels=2)
    assert predicted.eval_peak_bytes > predicted.load_peak_bytes
    # No batch of sorted rows has padding in it but one: a mask less, a twentieth of the peak.
    assert predicted.eval_peak_bytes == pytest.approx(memory["eval/allocator_bytes"], rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_seventy_billion_weights_take_a_minute_and_two_gigabytes(
    tmp_path: Path, method: str
) -> None:
    """A trace of 80 layers is as long as its operators and as small as their shapes."""
    tree = {"model_type": "llama", "hidden_size": 8192, "intermediate_size": 28672}
    tree |= {"num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8}
    (tmp_path / "config.json").write_text(json.dumps(tree | {"vocab_size": 128256}))
    spec = toy_spec(
        model={"kind": "hub", "id": str(tmp_path)},
        method=method,
        train={"batch_size": 8, "max_length": 128},
    )
    started = time.monotonic()
    predicted = predict_memory(spec, labels=3)
    assert time.monotonic() - started < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < 2e9
    assert predicted.categories.parameters > 4 * 69e9
