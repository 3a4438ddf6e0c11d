"""Compare predicted memory with measured, with others' figures and with other estimators.

Run it from the repository root, `python -m bench.memory docs/results/memory.md`. It takes some
minutes on two cores, needs no network and no GPU. Measurements are kept beside the page in
`memory.json`; without that file it is measured anew.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.memory_cells import METHODS, Cell, cells, printed
from bench.memory_configs import CONFIGS, save_config
from bench.memory_measured import measured_section
from trainers.contract import RunSpec
from trainers.errors import ConfigError
from trainers.memory import CATEGORIES, MemoryPeaks, predict_memory, state_bytes

GB = 1e9
T0_3B_PARAMETERS = 2_849_757_184
"""Of t5-v1_1-xl, which T0_3B has."""


def main(path: Path) -> None:
    """Measure, unless measurements are kept beside the page; predict; write the page."""
    warnings.simplefilter("ignore")
    kept = path.with_suffix(".json")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        models = {name: save_config(folder / name, tree) for name, tree in CONFIGS.items()}
        if not kept.exists():
            measured = [asdict(cell) for cell in printed(cells(folder / "cells"))]
            kept.write_text(json.dumps(measured, indent=1) + "\n")
        found = [Cell(**row) for row in json.loads(kept.read_text())]
        text = "\n".join(
            [
                *head(),
                *measured_section(found),
                *published_section(models),
                *estimators_section(models),
                *savings_section(models["roberta-base"]),
            ]
        )
    path.write_text(text + "\n", encoding="utf-8")


def predict(model: Path, method: str, device: str = "cuda", **train: Any) -> MemoryPeaks:
    """Predict one configuration, by default as a CUDA device's kernels allocate."""
    settings = {"precision": "fp32", "eval_batch_size": 8, **train}
    tree = {"task": "toy", "model": {"kind": "hub", "id": str(model)}, "method": method}
    spec = RunSpec.model_validate({**tree, "train": settings, "seeds": {"init": 0, "order": 0}})
    chosen: Any = device
    return predict_memory(spec, labels=3, device=chosen)


def head() -> Iterator[str]:
    """Yield the head of the page."""
    yield "# Predicted memory"
    yield ""
    yield "Made by `python -m bench.memory docs/results/memory.md` on a CPU, without a GPU. GB is"
    yield "1e9 bytes. [Decision 13](../decisions/0013-memory-by-tracing.md) says how a prediction"
    yield "is made. No constant is fitted to any figure on this page."


def published_section(models: dict[str, Path]) -> Iterator[str]:
    """Compare predictions with measurements of others on GPUs."""
    yield ""
    yield "## Against figures that others measured on GPUs"
    yield ""
    yield "None of the sources states batch, length, precision and attention together, so each is"
    yield "given for several; no line was chosen to fit. Predictions are of tensors, with CUDA's"
    yield "allocations; a context of about 0.6 GB comes on top. Eager attention is what"
    yield "transformers used when these were measured."
    yield ""
    yield "| source | measured GB | assumed | full GB | adapter GB |"
    yield "|---|---|---|---:|---:|"
    course = "course report, roberta-base class, batch 128: full and bottleneck"
    for length, precision in ((64, "fp32"), (128, "fp32"), (64, "bf16"), (128, "bf16")):
        options = {"batch_size": 128, "max_length": length, "precision": precision}
        yield _pair(course, "12 to 14; 8 to 9", models["roberta-base"], "bottleneck", options)
    issue = "[peft#675](https://github.com/huggingface/peft/issues/675)"
    peft = f"{issue}, roberta-large: full and LoRA"
    for batch, length in ((32, 64), (32, 128), (64, 64)):
        options = {"batch_size": batch, "max_length": length, "precision": "fp32"}
        yield _pair(peft, "17; 12", models["roberta-large"], "lora", options)
    readme = "[peft README](https://github.com/huggingface/peft), T0_3B on an A100: full and LoRA"
    total = state_bytes(T0_3B_PARAMETERS, precision="fp32", optimizer="adamw").total
    yield (
        f"| {readme} | 47.14; 14.4 "
        f"| states alone, fp32 AdamW, {T0_3B_PARAMETERS:,} weights | {total / GB:.1f} | |"
    )
    for length, optimizer in (
        (64, "adamw_torch"),
        (64, "adamw_torch_fused"),
        (128, "adamw_torch_fused"),
    ):
        options = {"batch_size": 8, "max_length": length, "precision": "fp32"}
        options["optimizer"] = optimizer
        yield _pair(readme, "47.14; 14.4", models["t0-3b"], "lora", options)
    yield ""
    yield "T0_3B was trained to write, with a head of 66 million weights more (1.1 GB of states)"
    yield "than the classifier that is traced here, and with targets shorter than its texts. On"
    yield "lists of tensors, torch's choice since 2.0, AdamW has temporaries of the size of all"
    yield "weights. The figure is older; fused AdamW has none, nor had the one of that time."


def _pair(source: str, measured: str, model: Path, method: str, options: dict[str, Any]) -> str:
    given = {"attention": "eager", "optimizer": "adamw_torch", **options}
    full, adapter = (predict(model, name, **given) for name in ("full", method))
    assumed = f"batch {options['batch_size']}, length {options['max_length']}"
    assumed += ", fused AdamW" if "fused" in given["optimizer"] else ""
    return (
        f"| {source} | {measured} | {assumed}, {options['precision']}, eager "
        f"| {full.peak_bytes / GB:.1f} | {adapter.peak_bytes / GB:.1f} |"
    )


def estimators_section(models: dict[str, Path]) -> Iterator[str]:
    """Compare predictions with DeepSpeed's and accelerate's estimators."""
    from accelerate.utils import calculate_maximum_sizes
    from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs

    from trainers.memory.skeleton import build

    yield ""
    yield "## Beside other estimators"
    yield ""
    yield "One rank, batch 32, length 128, fp32. DeepSpeed's"
    yield "`estimate_zero2_model_states_mem_needs` counts every weight as trained; accelerate's"
    yield "`estimate-memory` takes four times the model. Neither knows batch, length or"
    yield "activations."
    yield ""
    yield "| model | method | states GB | peak GB | DeepSpeed GB | accelerate GB |"
    yield "|---|---|---:|---:|---:|---:|"
    methods = ("full", "lora", "bottleneck")
    for name, method in itertools.product(("roberta-base", "roberta-large"), methods):
        folder = models[name]
        found = predict(folder, method, batch_size=32, max_length=128)
        tree = {"task": "toy", "model": {"kind": "hub", "id": str(folder)}, "method": method}
        spec = RunSpec.model_validate({**tree, "seeds": {"init": 0, "order": 0}})
        model = build(spec, 3)
        total = sum(p.numel() for p in model.parameters())
        _, gpu = estimate_zero2_model_states_mem_needs(total, 1, 1, cpu_offload=False)
        size, _ = calculate_maximum_sizes(model)
        held = 4 * total + 12 * found.trainable_parameters
        yield (
            f"| {name} | {method} | {held / GB:.2f} | {found.peak_bytes / GB:.2f} "
            f"| {gpu / GB:.2f} | {4 * size / GB:.2f} |"
        )


def _possible(model: Path, method: str, **train: Any) -> int:
    """Return the peak, or 0 if text and prompt are longer than the model's positions."""
    try:
        return predict(model, method, **train).peak_bytes
    except ConfigError:
        return 0


def savings_section(model: Path) -> Iterator[str]:
    """Yield what each method saves at several lengths, and why IA3 saves so little."""
    lengths = (32, 64, 128, 256, 512)
    options: dict[str, Any] = {"batch_size": 32, "precision": "fp32"}
    found = {
        (method, length): _possible(model, method, max_length=length, **options)
        for method in METHODS
        for length in lengths
    }
    yield ""
    yield "## What each method saves: roberta-base, batch 32, fp32, SDPA on CUDA"
    yield ""
    yield "Peak in GB, and what is saved of full fine-tuning's; `-`: text and prompt are longer"
    yield "than the model's positions."
    yield ""
    yield "| method | " + " | ".join(f"length {length}" for length in lengths) + " |"
    yield "|---|" + "---:|" * len(lengths)
    for method in METHODS:
        shown = []
        for length in lengths:
            here, full = found[method, length], found["full", length]
            saved = "" if here is full or not full else f" ({1 - here / full:.0%})"
            shown.append(f"{here / GB:.2f}{saved}" if here else "-")
        yield f"| {method} | " + " | ".join(shown) + " |"
    yield ""
    yield "By category at length 128, in MB at the fullest moment of training:"
    yield ""
    yield "| method | " + " | ".join(CATEGORIES) + " |"
    yield "|---|" + "---:|" * len(CATEGORIES)
    for method in METHODS:
        held = predict(model, method, max_length=128, **options).categories
        sizes = [f"{getattr(held, name) / 1e6:.0f}" for name in CATEGORIES]
        yield f"| {method} | " + " | ".join(sizes) + " |"
    yield ""
    yield "Every adapter saves the same states, 12 bytes a frozen weight, whatever batch and"
    yield "length are; the share that it saves falls as texts grow, for activations grow and"
    yield "states do not. IA3 trains hardly more than the head and saves little but the states:"
    yield "the gradient of a vector that rescales an activation needs that activation, in every"
    yield "layer, and the gradient passes through every layer to the lowest vector."


if __name__ == "__main__":
    main(Path(sys.argv[1]))
