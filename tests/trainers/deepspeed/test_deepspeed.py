"""DeepSpeed with two ranks on the CPU: every preset, three methods, the numbers of one process."""

from __future__ import annotations

import gc
import json
import multiprocessing
import socket
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
import torch
from scipy.special import softmax
from torch import nn

from tests.specs import toy_spec, workspace
from trainers.contract import Rank, RunEvent, RunResult, RunSpec
from trainers.data import encode_task, load_task
from trainers.train import load_trained, train, train_rank
from trainers.train.predictions import longest_first
from trainers.train.rank import meet
from tuner.config import ds_configs

pytestmark = [
    pytest.mark.deepspeed,
    pytest.mark.timeout(400),
    pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs the extra `deepspeed`"),
]

SMOOTH = {"kind": "tiny", "name": "tiny-smooth", "dropout": 0.0}
FEW = {"kind": "toy", "few_shot": {"rule": "first", "count": 60}}
METHODS = ("full", "lora", "bottleneck")
PROMPTS = ("prefix", "prompt", "p_tuning")
CASES = [(preset, method) for preset in ds_configs() for method in METHODS]
CASES += [("zero3", method) for method in PROMPTS]
CASES += [("short", "full")]
CONTENTS = ds_configs() | {"short": {"zero_optimization": {"stage": 2}}}
"""A user's own may leave out all else."""
SAVED = [(p, m) for p, m in CASES if p in ("zero2", "zero3", "zero3-offload")]
LABELS = ("animal", "colour", "food")
OUTSIDE = [(p, m) for p, m in SAVED if m in METHODS]


def _spec(method: str, preset: str | None) -> RunSpec:
    ranks = 1 if preset is None else 2
    return toy_spec(
        task=FEW,
        model=SMOOTH,
        method=method,
        ranks=ranks,
        deepspeed=None if preset is None else CONTENTS[preset],
        read_test=True,
        save=True,
        # 40 rows a step, in two micro-batches, do not divide the training rows.
        train={
            "batch_size": 20 // ranks,
            "gradient_accumulation": 2,
            "learning_rate": 2e-2,
            "epochs": 3,
        },
    )


def _train_all(number: int, folder: Path, listener: socket.socket | None, port: int) -> None:
    """Train every case as one rank, in one process: importing DeepSpeed takes longer than all."""
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    from trainers.deepspeed.engine import deepspeed_for

    rank = Rank(rank=number, local_rank=number, world_size=2, master_port=port)
    with meet(rank, listener), deepspeed_for(_spec(*reversed(CASES[0]))):
        gc.freeze()  # each training collects garbage, which is not among what has been loaded
        for preset, method in CASES:
            events: list[RunEvent] = []
            place = folder / f"{preset}-{method}"
            result = train(_spec(method, preset), events.append, workspace(place), rank=rank)
            if number == 0:
                _write(place, result, events)
            unset_hf_deepspeed_config()
            gc.collect()


def _write(place: Path, result: RunResult, events: list[RunEvent]) -> None:
    (place / "result.json").write_text(result.model_dump_json())
    losses = [e.metrics["train/loss"] for e in events if "train/loss" in e.metrics]
    (place / "losses.json").write_text(json.dumps(losses))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train every case with two ranks, and each method alone; give the folder of all."""
    folder = tmp_path_factory.mktemp("deepspeed")
    context = multiprocessing.get_context("spawn")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        ranks = [
            context.Process(target=_train_all, args=(n, folder, None if n else listener, port))
            for n in (0, 1)
        ]
        for process in ranks:
            process.start()
    for method in (*METHODS, *PROMPTS):
        events: list[RunEvent] = []
        place = folder / f"alone-{method}"
        spec = _spec(method, None)
        result = train_rank(spec, events.append, workspace(place), rank=Rank())
        _write(place, result, events)
    for process in ranks:
        process.join(280)
        process.kill()
        process.join()
    return folder


def _read(place: Path) -> tuple[RunResult, list[float]]:
    result = RunResult.model_validate_json((place / "result.json").read_text())
    return result, json.loads((place / "losses.json").read_text())


@pytest.mark.parametrize(("preset", "method"), CASES, ids=map("-".join, CASES))
def test_a_preset_trains_as_one_process_does(folder: Path, preset: str, method: str) -> None:
    """The same losses, validation and test scores, and the same epoch is kept."""
    alone, expected = _read(folder / f"alone-{method}")
    result, losses = _read(folder / f"{preset}-{method}")
    assert losses == pytest.approx(expected, abs=1e-4)
    assert len(losses) > 5
    assert result.validation == pytest.approx(alone.validation, abs=1e-4)
    assert result.test == pytest.approx(alone.test, abs=1e-4)
    assert result.epoch == alone.epoch
    assert result.parameters == alone.parameters
    assert {"rank0/train/peak_bytes", "rank1/train/peak_bytes"} <= result.memory.keys()


def test_an_epoch_before_the_last_was_put_back(folder: Path) -> None:
    """Or the test above would not see whether weights are kept and put back."""
    assert min(_read(folder / f"alone-{method}")[0].epoch for method in METHODS) < 3


@pytest.mark.parametrize(("preset", "method"), SAVED, ids=map("-".join, SAVED))
def test_what_is_saved_gives_bit_equal_logits(folder: Path, preset: str, method: str) -> None:
    """Gathered from the ranks where it was divided, loaded in one process, run on test."""
    run = folder / f"{preset}-{method}" / "run"
    classifier = load_trained(run / "model")
    _check_predictions(run, classifier.model, classifier.spec)


@pytest.mark.parametrize(("preset", "method"), OUTSIDE, ids=map("-".join, OUTSIDE))
def test_what_is_saved_is_read_without_us(folder: Path, preset: str, method: str) -> None:
    """By `from_pretrained` of transformers and peft; of a bottleneck by its tensors' names."""
    run = folder / f"{preset}-{method}" / "run"
    _check_predictions(
        run, _read_outside(method, run / "model" / "weights"), _spec(method, preset)
    )


def _read_outside(method: str, weights: Path) -> nn.Module:
    """Load saved weights as one does who has not this package, but the base model."""
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForSequenceClassification

    if method == "full":
        return AutoModelForSequenceClassification.from_pretrained(weights).eval()
    base = _spec(method, None).model.model(LABELS, "sdpa")
    if method == "lora":
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".is_gradient_checkpointing")  # peft's own
            return PeftModel.from_pretrained(base, str(weights)).eval()
    tensors = load_file(weights / "bottleneck.safetensors")
    for number, layer in enumerate(base.base_model.encoder.layer):
        names = ("down.weight", "down.bias", "up.weight", "up.bias")
        prefix = f"bert.encoder.layer.{number}.adapter"
        layer.output.register_forward_hook(
            _adapter(*(tensors.pop(f"{prefix}.{n}") for n in names))
        )
    assert base.load_state_dict(tensors, strict=False).unexpected_keys == []
    return base.eval()


def _adapter(*tensors: torch.Tensor) -> Callable[..., torch.Tensor]:
    """Return a hook that adds Pfeiffer's adapter to a layer's output."""
    down, down_bias, up, up_bias = tensors

    def add(module: nn.Module, args: object, output: torch.Tensor) -> torch.Tensor:
        inner = torch.relu(nn.functional.linear(output, down, down_bias))
        return output + nn.functional.linear(inner, up, up_bias)

    return add


def _check_predictions(run: Path, model: nn.Module, spec: RunSpec) -> None:
    """Compare a model's logits on test, bit by bit, with what the run wrote."""
    stored = pandas.read_parquet(run / "predictions.parquet")
    logits = _logits(model, spec, run.parent)
    columns = [f"probability/{label}" for label in LABELS]
    assert numpy.array_equal(softmax(logits, axis=-1), stored[columns].to_numpy())


def _logits(model: nn.Module, spec: RunSpec, folder: Path) -> Any:
    """Compute the test logits in the batches that the ranks had."""
    from transformers import DataCollatorWithPadding

    torch.set_num_threads(1)
    tokenizer = spec.model.tokenizer()
    data = load_task(spec.task, folder, spec.seeds.data)
    assert data.labels == LABELS
    rows = encode_task(data, tokenizer, max_length=128, cache_dir=folder / "cache").test
    order = longest_first(rows["length"])
    collate = DataCollatorWithPadding(tokenizer)
    names = ("input_ids", "attention_mask", "token_type_ids", "labels")
    logits = numpy.empty((len(order), len(data.labels)))
    size = spec.train.eval_batch_size
    for start in range(0, len(order), size):
        places = order[start : start + size]
        batch = collate([{k: v for k, v in rows[p].items() if k in names} for p in places])
        with torch.no_grad():
            logits[places] = model(**batch).logits.double().numpy()
    return logits


@pytest.mark.parametrize("method", ["lora", "bottleneck", "prefix", "prompt"])
def test_zero3_saves_the_adapter_alone(folder: Path, method: str) -> None:
    """Whole tensors of what is trained, nothing of the frozen body."""
    from safetensors.torch import load_file

    run = folder / f"zero3-{method}" / "run"
    result, _ = _read(folder / f"zero3-{method}")
    (file,) = (run / "model" / "weights").glob("*.safetensors")
    tensors = load_file(file)
    assert sum(tensor.numel() for tensor in tensors.values()) == result.parameters.trained
    assert result.parameters.trained < result.parameters.total / 4


def test_zero3_saves_the_prompt_and_not_the_network_that_made_it(folder: Path) -> None:
    """One rank computes the prompt while it saves; the other does not take part."""
    from safetensors.torch import load_file

    tensors = load_file(folder / "zero3-p_tuning/run/model/weights/adapter_model.safetensors")
    assert [name for name in tensors if "classifier" not in name] == ["prompt_embeddings"]
