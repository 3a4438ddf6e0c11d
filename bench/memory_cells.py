"""Measure real runs on a CPU and predict them: the cells of `bench/memory.py`."""

from __future__ import annotations

import csv
import gc
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from trainers.contract import RunSpec, Workspace
from trainers.memory import predict_memory
from trainers.models.tiny import TOKEN_FORMATS, build_tokenizer, vocabulary
from trainers.train import train
from tuner.config import read_executor

METHODS = ("full", "lora", "bottleneck", "ia3", "prompt", "head")
MODELS = ("bert", "roberta", "llama")
ENCODER_DECODERS = ("t5", "bart")
# Batch, length, checkpointing, precision.
VARIANTS = (
    (8, 64, False, "fp32"),
    (16, 32, False, "bf16"),
    (16, 64, True, "fp32"),
    (4, 128, True, "bf16"),
)
_ODD = (5, 48, False, "fp32")
MORE: tuple[dict[str, Any], ...] = (
    {"gradient_accumulation": 3},
    {"optimizer": "adafactor"},
    {"optimizer": "sgd"},
    {"optimizer": "adamw_torch", "max_grad_norm": 0.0},
    {"attention": "eager"},
)
"""Other settings, each for one method of every model."""
_SIZE = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "vocab_size": 2000,
}
_SIZES = {
    "t5": {"d_model": 128, "d_kv": 32, "d_ff": 512, "num_layers": 2, "num_heads": 4},
    "bart": {"d_model": 128}
    | {f"{part}_layers": 2 for part in ("encoder", "decoder")}
    | {f"{part}_attention_heads": 4 for part in ("encoder", "decoder")}
    | {f"{part}_ffn_dim": 512 for part in ("encoder", "decoder")},
}
"""Of models that name their sizes in another way."""
_LABELS = 2


@dataclass(frozen=True)
class Cell:
    """One real run with its memory, in bytes."""

    model: str
    method: str
    variant: tuple[int, int, bool, str]
    predicted: int
    allocator: int
    resident: int
    """VmHWM; 0 where it was not measured."""
    framework: int
    baseline: int
    """Resident before there was a model, pages of libraries included; 0 where not measured."""
    more: str = ""
    """Other settings."""

    @property
    def error(self) -> float:
        """Share by which the prediction is above the allocator's record."""
        return self.predicted / self.allocator - 1

    @property
    def resident_error(self) -> float:
        """The same for the whole process: prediction and constant against VmHWM."""
        return (self.predicted + self.framework) / self.resident - 1

    @property
    def growth_error(self) -> float:
        """The same for the prediction plus the process's memory before it had a model."""
        return (self.predicted + self.baseline) / self.resident - 1


def cells(folder: Path) -> Iterator[Cell]:
    """Run every cell and predict it; one of each model and variant in a process of its own."""
    folders = {name: save_model(folder / name, name) for name in (*MODELS, *ENCODER_DECODERS)}
    for number, (model, method) in enumerate(itertools.product(MODELS, METHODS)):
        # Two or three of the four variants, in turn.
        for turn in range(3 if number % 3 == 0 else 2):
            variant = VARIANTS[(number + turn) % len(VARIANTS)]
            place = folder / f"{model}-{method}-{turn}"
            yield _cell(place, folders, model, method, variant, whole=turn == 2)
        if number % len(METHODS) < len(MORE):
            more = MORE[number % len(METHODS)]
            yield _cell(folder / f"{model}-{method}-more", folders, model, method, _ODD, more=more)
    for model, method in itertools.product(ENCODER_DECODERS, ("full", "lora")):
        for turn, variant in enumerate(VARIANTS[:3]):
            yield _cell(folder / f"{model}-{method}-{turn}", folders, model, method, variant)


def printed(found: Iterator[Cell]) -> Iterator[Cell]:
    """Print each measured cell to the terminal."""
    for cell in found:
        print(cell.model, cell.method, cell.variant, cell.more, f"{cell.error:+.2%}", flush=True)
        yield cell


def _cell(
    place: Path,
    folders: Mapping[str, Path],
    model: str,
    method: str,
    variant: tuple[int, int, bool, str],
    *,
    more: Mapping[str, Any] = MappingProxyType({}),
    whole: bool = False,
) -> Cell:
    """Predict and run one cell; on request once more for the whole process's VmHWM."""
    spec = make_spec(place, folders[model], method, variant, more=more)
    predicted = predict_memory(spec, labels=_LABELS, device="cpu")
    gc.collect()  # else garbage of the last run would be freed while this one is measured
    memory = train(spec, lambda _: None, _workspace(place, "allocator")).memory
    process = _in_a_process(spec, place) if whole else {}
    return Cell(
        model,
        method,
        variant,
        predicted=predicted.train_peak_bytes,
        allocator=memory["train/allocator_bytes"],
        resident=process.get("train/peak_bytes", 0),
        framework=predicted.framework_bytes,
        baseline=process.get("baseline_bytes", 0),
        more=", ".join(f"{name} {value}" for name, value in more.items()),
    )


def _in_a_process(spec: RunSpec, place: Path) -> Mapping[str, int]:
    """Return the measurements of a run in a process of its own, VmHWM in each phase."""
    executor = read_executor({"threads": 2}).open()
    return executor.run(spec, lambda _: None, _workspace(place, "process")).memory


def _workspace(place: Path, measure: Literal["process", "allocator"]) -> Workspace:
    return Workspace(
        data_dir=place,
        cache_dir=place / "cache",
        run_dir=place / measure,
        threads=2,
        measure=measure,
    )


def save_model(folder: Path, architecture: str) -> Path:
    """Write a model of random weights with its tokenizer, as `from_pretrained` reads it."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    pairs = architecture in ENCODER_DECODERS
    dialect = TOKEN_FORMATS["roberta" if pairs else architecture]
    ids = vocabulary(dialect)
    padding = dialect.special.get("pad_token", dialect.special.get("eos_token", ""))
    options: dict[str, Any] = {**_SIZE, "pad_token_id": ids[padding]}
    if architecture == "roberta":
        options |= {"type_vocab_size": 1, "max_position_embeddings": 514}
    if pairs:
        end = ids[dialect.special["eos_token"]]
        options = {k: v for k, v in options.items() if k in ("vocab_size", "pad_token_id")}
        options |= {**_SIZES[architecture], "eos_token_id": end, "decoder_start_token_id": end}
    config = AutoConfig.for_model(architecture, **options)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    tokenizer = build_tokenizer(dialect)
    tokenizer.save_pretrained(folder)
    return folder


def make_spec(
    folder: Path,
    model: Path,
    method: str,
    variant: Sequence[Any],
    *,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> RunSpec:
    """Return a run of two steps whose batches are all full, with some padding in each."""
    batch, length, checkpointing, precision = variant
    sizes = {"train": 2 * batch * more.get("gradient_accumulation", 1), "validation": 2, "test": 2}
    task = {"kind": "text_file", "name": "full", "text": "text", "label": "label"}
    folder.mkdir(parents=True)
    for name, rows in sizes.items():
        task[name] = str(folder / f"{name}.csv")
        write_rows(Path(task[name]), rows, length)
    return RunSpec.model_validate(
        {
            "task": task,
            "model": {"kind": "hub", "id": str(model)},
            "method": method,
            "seeds": {"init": 1, "order": 1},
            "train": {
                "epochs": 1,
                "batch_size": batch,
                "eval_batch_size": 2,
                "max_length": length,
                "precision": precision,
                "gradient_checkpointing": checkpointing,
                "group_by_length": False,
                **more,
            },
        }
    )


def write_rows(path: Path, rows: int, words: int) -> None:
    """Write texts of at least `words` tokens, a quarter of them of half as many."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(rows):
            length = words // 2 if row % 4 == 1 else words
            writer.writerow([f"{'good ' * length} {row}", "ab"[row % 2]])
