"""What every method must keep to, checked on every tiny architecture."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import nn

from trainers.errors import ConfigError, ModelError
from trainers.interfaces import Method
from trainers.methods import count_parameters
from trainers.models.tiny import Tiny

LABELS = ("negative", "neutral", "positive")
TEXTS = ("bad food", "it was a computer", "good film, really great and nice", "no", "love it all")
TARGETS = (0, 1, 2, 0, 2)
# Loss of the best guess that does not look at the text.
ENTROPY = -sum(
    share * math.log(share) for share in (TARGETS.count(label) / 5 for label in range(3))
)

# Parameters of a head on a body 32 wide, written out by hand for three labels.
HEAD_SIZES = {
    "bert": 32 * 3 + 3,
    "roberta": 32 * 32 + 32 + 32 * 3 + 3,
    "llama": 32 * 3,
}
# The few pairs that a method rightly refuses; any other refusal is a failure.
REFUSED = {("bitfit", "llama")}
# Methods that cannot recompute their forward pass.
NO_CHECKPOINTING = {"prefix"}
# Softmax does not change when every key moves alike: this bias has no gradient but rounding.
WITHOUT_GRADIENT = ("key.bias",)


class MethodContract:
    """Subclass it and give the fixtures `method` and `source`."""

    def test_head_and_adapter_are_counted_apart(self, method: Method, source: Tiny) -> None:
        """The counts are those of the parameters that receive a gradient."""
        base = sum(parameter.numel() for parameter in build(source).parameters())
        model = apply(method, source)
        counts = count_parameters(model)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        assert counts.head == HEAD_SIZES[source.architecture]
        assert counts.trained == trained
        assert counts.total == sum(parameter.numel() for parameter in model.parameters())
        assert counts.total >= base
        assert counts.trained >= counts.head

    def test_training_moves_what_is_trained_and_nothing_else(
        self, method: Method, source: Tiny
    ) -> None:
        """After optimizer steps frozen weights are bit-equal and each trained one differs."""
        model = apply(method, source)
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        train(model, batch_of(source), steps=3)
        for name, parameter in model.named_parameters():
            same = torch.equal(parameter, before[name])
            if not parameter.requires_grad:
                assert same, f"frozen {name} moved"
            elif not name.endswith(WITHOUT_GRADIENT):
                assert not same, f"trained {name} did not move"

    def test_adapter_weights_are_float32(self, method: Method, source: Tiny) -> None:
        """What is trained is kept in float32, whatever autocast does."""
        model = apply(method, source)
        kinds = {parameter.dtype for parameter in model.parameters() if parameter.requires_grad}
        assert kinds == {torch.float32}

    def test_loss_falls_on_a_small_batch(self, method: Method, source: Tiny) -> None:
        """The method learns from the texts: it beats knowing how often each label occurs."""
        model, batch = apply(method, source), batch_of(source)
        before = loss_of(model, batch)
        train(model, batch, steps=20, dropout=False)
        assert loss_of(model, batch) < min(before, 0.75 * ENTROPY)

    def test_saved_and_loaded_gives_bit_equal_logits(
        self, method: Method, source: Tiny, tmp_path: Path
    ) -> None:
        """A model built under another seed computes the same after loading."""
        model, batch = apply(method, source), batch_of(source)
        train(model, batch, steps=3)
        method.save(model, tmp_path)
        other = apply(method, source, seed=2)
        assert not torch.equal(logits_of(other, batch), logits_of(model, batch))
        method.load(other, tmp_path)
        assert torch.equal(logits_of(other, batch), logits_of(model, batch))

    def test_saved_files_hold_no_frozen_weight(
        self, method: Method, source: Tiny, tmp_path: Path
    ) -> None:
        """Neither a frozen name nor a frozen matrix of the body is in the files."""
        model = apply(method, source)
        frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
        body = build(source).base_model
        matrices = [value for value in body.parameters() if frozen and value.dim() > 1]
        train(model, batch_of(source), steps=1)
        method.save(model, tmp_path)
        files = [load_file(file) for file in tmp_path.glob("*.safetensors")]
        stored = {name: tensor for file in files for name, tensor in file.items()}
        assert stored
        assert not stored.keys() & frozen
        for name, tensor in stored.items():
            assert not any(torch.equal(tensor, value) for value in matrices), name

    def test_loading_the_wrong_tensors_is_refused(
        self, method: Method, source: Tiny, tmp_path: Path
    ) -> None:
        """A missing or a renamed tensor is an error in one line, not a silent start from noise."""
        from safetensors.torch import save_file

        model = apply(method, source)
        with pytest.raises(ModelError, match="no such file"):
            method.load(model, tmp_path)
        method.save(model, tmp_path)
        (file,) = tmp_path.glob("*.safetensors")
        tensors = load_file(file)
        first = sorted(tensors)[0]
        tensors["stranger"] = tensors.pop(first)
        save_file(tensors, file)
        with pytest.raises(ModelError, match=r"missing .*unexpected stranger") as caught:
            method.load(model, tmp_path)
        assert "\n" not in str(caught.value)

    def test_gradients_are_equal_under_checkpointing(self, method: Method, source: Tiny) -> None:
        """Recomputing activations changes memory and nothing else, or is refused in one line."""
        batch = batch_of(source)
        plain, recomputed = apply(method, source), apply(method, source)
        recomputed.activation_checkpointing_enable()  # type: ignore[operator]  # forwarded
        gradients_of(plain, batch)
        if method.kind in NO_CHECKPOINTING:
            with pytest.raises(ConfigError, match=r"^train.gradient_checkpointing: .*allowed"):
                gradients_of(recomputed, batch)
            return
        gradients_of(recomputed, batch)
        pairs = zip(plain.named_parameters(), recomputed.parameters(), strict=True)
        for (name, left), right in pairs:
            if left.requires_grad and left.grad is not None:
                torch.testing.assert_close(right.grad, left.grad, msg=name)

    def test_the_seed_decides_everything(self, method: Method, source: Tiny) -> None:
        """Trained twice under one seed all weights are bit-equal; under another they are not."""
        batch = batch_of(source)
        logits = []
        for seed in (1, 1, 2):
            model = apply(method, source, seed=seed)
            train(model, batch, steps=2)
            logits.append(logits_of(model, batch))
        assert torch.equal(logits[0], logits[1])
        assert not torch.equal(logits[0], logits[2])

    def test_a_row_is_classified_alike_in_any_batch(self, method: Method, source: Tiny) -> None:
        """Padding does not reach the logits, under either attention implementation."""
        for attention in ("sdpa", "eager"):
            model = apply(method, source, attention=attention)
            train(model, batch_of(source), steps=2)
            together = logits_of(model, batch_of(source))
            for row in (0, 3):
                alone = logits_of(model, batch_of(source, TEXTS[row : row + 1]))
                torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=1e-4)

    def test_every_field_changes_something(self, method: Method, source: Tiny) -> None:
        """Another value of any field makes other weights, or trains them another way."""
        reference = trace_of(method, source)
        for name, changed in variants(method, source):
            assert trace_of(changed, source) != reference, f"{name} has no effect: {changed!r}"

    def test_a_deepcopy_stands_on_its_own(self, method: Method, source: Tiny) -> None:
        """Training a copy does not change the original."""
        model, batch = apply(method, source), batch_of(source)
        before = logits_of(model, batch)
        twin = copy.deepcopy(model)
        assert torch.equal(logits_of(twin, batch), before)
        train(twin, batch, steps=3)
        assert not torch.equal(logits_of(twin, batch), before)
        assert torch.equal(logits_of(model, batch), before)


def variants(method: Method, source: Tiny) -> Iterator[tuple[str, Method]]:
    """Yield the method with one field changed, each field to every other kind of value."""
    for name, field in type(method).model_fields.items():
        value = getattr(method, name)
        for other in _others(value, field.annotation, source):
            try:
                yield name, type(method).model_validate(method.model_dump() | {name: other})
            except ValidationError:  # fields that depend on each other
                continue


def _others(value: Any, annotation: Any, source: Tiny) -> list[Any]:
    """Return values of a field's kind that differ from its own."""
    named = [word for part in _parts(annotation) for word in _words(part)]
    if named and len(named) > 1:
        return [word for word in named if word != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value * 2 or 0.25]
    if tuple in [get_origin(part) for part in _parts(annotation)]:
        names = {n.rpartition(".")[2] for n, m in _linear(build(source).base_model)}
        return [(name,) for name in sorted(names)][:2] + named
    return []


def _parts(annotation: Any) -> list[Any]:
    return [annotation, *get_args(annotation)]


def _words(part: Any) -> list[Any]:
    return list(get_args(part)) if get_origin(part) is Literal else []


def _linear(body: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(n, m) for n, m in body.named_modules() if isinstance(m, nn.Linear)]


def trace_of(method: Method, source: Tiny) -> list[Any]:
    """Return what a method makes of a model and does in two steps, to the bit."""
    model, batch = apply(method, source), batch_of(source)
    found: list[Any] = [
        (name, tuple(p.shape), p.requires_grad, float(p.detach().double().sum()))
        for name, p in model.named_parameters()
    ]
    train(model, batch, steps=2)
    return [*found, logits_of(model, batch).tolist()]


def build(source: Tiny, attention: str = "sdpa") -> Any:
    """Build the untouched classifier."""
    return source.model(LABELS, attention)


def apply(method: Method, source: Tiny, *, seed: int = 1, attention: str = "sdpa") -> nn.Module:
    """Build a classifier and apply the method, all new weights drawn under `seed`."""
    torch.manual_seed(seed)
    return method.apply(build(source, attention))


def batch_of(source: Tiny, texts: tuple[str, ...] = TEXTS) -> dict[str, torch.Tensor]:
    """Tokenize texts of different lengths, with their labels."""
    batch = source.tokenizer()(list(texts), padding=True, return_tensors="pt")
    return {**batch, "labels": torch.tensor(TARGETS[: len(texts)])}


def gradients_of(model: nn.Module, batch: dict[str, torch.Tensor]) -> None:
    """Run one training pass under a fixed dropout seed and leave the gradients."""
    model.train()
    torch.manual_seed(7)
    model(**batch).loss.backward()


def train(
    model: nn.Module, batch: dict[str, torch.Tensor], *, steps: int, dropout: bool = True
) -> None:
    """Take AdamW steps on one batch."""
    model.train(dropout)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-2, weight_decay=0.0)
    for _ in range(steps):
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()


def loss_of(model: nn.Module, batch: dict[str, torch.Tensor]) -> float:
    """Return the loss without dropout."""
    model.eval()
    with torch.no_grad():
        return float(model(**batch).loss)


def logits_of(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the logits without dropout."""
    model.eval()
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    with torch.no_grad():
        logits: torch.Tensor = model(**inputs).logits
    return logits
