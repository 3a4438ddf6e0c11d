"""The training story: seeds, precision, the kept epoch, what is measured and left behind."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from tests.specs import toy_spec, workspace
from trainers.contract import RunEvent, RunResult
from trainers.data import load_task
from trainers.errors import CannotBuild, Diverged
from trainers.methods.head import Head
from trainers.train.loop import train
from trainers.train.loss import check_finite
from trainers.train.trained_model import load_trained


class Trained:
    """A finished training with its events."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.events: list[RunEvent] = []
        self.folder = folder / "run"
        self.result: RunResult = train(toy_spec(**changes), self.events.append, workspace(folder))

    def curve(self, name: str) -> list[float]:
        """Return the values of a metric, in order."""
        return [event.metrics[name] for event in self.events if name in event.metrics]


def test_the_curves_are_complete_and_learning_happens(tmp_path: Path) -> None:
    """Loss and learning rate by step, scores by epoch, and a model that learns the task."""
    trained = Trained(tmp_path, train={"epochs": 8})
    assert len(trained.curve("train/loss")) == len(trained.curve("train/learning_rate")) == 32
    assert len(trained.curve("validation/macro_f1")) == 8
    assert trained.curve("train/loss")[-1] < 0.5 * trained.curve("train/loss")[0]
    assert trained.result.validation["macro_f1"] > 0.9
    steps = [event.step for event in trained.events]
    assert steps == sorted(steps)


def test_each_seed_moves_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    """Order: not the first loss's weights; init: the head; data: the rows."""
    seeds = {
        "base": {"init": 1, "order": 1},
        "order": {"init": 1, "order": 2},
        "init": {"init": 2, "order": 1},
        "data": {"init": 1, "order": 1, "data": 7},
    }
    task = {"kind": "toy", "few_shot": {"rule": "first", "count": 64}}
    runs = {
        name: Trained(tmp_path / name, seeds=chosen, task=task, train={"learning_rate": 1e-9})
        for name, chosen in seeds.items()
    }
    first = {name: run.curve("validation/loss")[0] for name, run in runs.items()}
    batches = {name: run.curve("train/loss") for name, run in runs.items()}
    # Nothing is learned at this rate, so validation sees the initial weights alone.
    assert first["order"] == pytest.approx(first["base"], abs=1e-6)
    assert batches["order"] != pytest.approx(batches["base"], abs=1e-4)
    assert first["init"] != pytest.approx(first["base"], abs=1e-4)
    digests = {name: run.result.facts["data.train"] for name, run in runs.items()}
    assert digests["data"] != digests["base"] == digests["init"] == digests["order"]


def test_the_best_epoch_is_what_is_scored(tmp_path: Path) -> None:
    """Weights of the kept epoch are put back: the same run stopped there scores the same."""
    setting = {"epochs": 6, "schedule": "constant", "learning_rate": 3e-2}
    whole = Trained(tmp_path / "whole", train=setting, read_test=True)
    scores = whole.curve("validation/macro_f1")
    best = scores.index(max(scores)) + 1
    assert best < 6
    assert whole.result.epoch == best
    short = Trained(tmp_path / "short", train=setting | {"epochs": best}, read_test=True)
    assert short.result.test == whole.result.test


def test_keeping_the_last_epoch_scores_the_last(tmp_path: Path) -> None:
    """`keep: last` ignores validation."""
    setting = {"epochs": 6, "schedule": "constant", "learning_rate": 3e-2, "keep": "last"}
    trained = Trained(tmp_path, train=setting)
    assert trained.result.epoch == 6
    assert trained.result.validation["macro_f1"] == trained.curve("validation/macro_f1")[-1]


def test_early_stopping_ends_after_its_patience(tmp_path: Path) -> None:
    """Two epochs without gain, at a rate where nothing is learned."""
    setting = {"epochs": 9, "early_stopping": 2, "learning_rate": 1e-12}
    trained = Trained(tmp_path, train=setting)
    assert len(trained.curve("validation/macro_f1")) == 3


def test_accumulated_micro_batches_equal_one_large_batch(tmp_path: Path) -> None:
    """Same rows in a step, same losses and gradients, up to rounding (Llama has no dropout)."""
    split = {"batch_size": 8, "gradient_accumulation": 4}
    whole = {"batch_size": 32}
    model, ungrouped = "tiny-llama", {"group_by_length": False, "label_smoothing": 0.1}
    large = Trained(tmp_path / "large", model=model, train=ungrouped | whole)
    small = Trained(tmp_path / "small", model=model, train=ungrouped | split)
    norms = small.curve("train/grad_norm"), large.curve("train/grad_norm")
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)
    assert small.curve("train/loss") == pytest.approx(large.curve("train/loss"), abs=1e-4)


def test_checkpointing_changes_memory_and_not_numbers(tmp_path: Path) -> None:
    """Recomputed activations are the same activations."""
    plain = Trained(tmp_path / "plain", method="lora")
    spared = Trained(tmp_path / "spared", method="lora", train={"gradient_checkpointing": True})
    assert spared.curve("train/loss") == pytest.approx(plain.curve("train/loss"), abs=1e-5)


def test_warm_up_is_steps_or_a_share_of_them(tmp_path: Path) -> None:
    """8 steps: 4 of them, or half of them, are the same."""
    steps = Trained(tmp_path / "steps", train={"warmup": 4})
    share = Trained(tmp_path / "share", train={"warmup": 0.5})
    rates = steps.curve("train/learning_rate")
    assert rates == share.curve("train/learning_rate")
    assert rates.index(max(rates)) in (3, 4)


def test_bf16_is_used_when_asked_for_and_said(tmp_path: Path) -> None:
    """Autocast on a CPU works; the choice stands among the facts."""
    plain = Trained(tmp_path / "fp32", train={"precision": "fp32"})
    half = Trained(tmp_path / "bf16", train={"precision": "bf16"})
    assert half.result.facts["precision"] == "bf16"
    assert half.curve("train/loss") != plain.curve("train/loss")
    assert half.curve("train/loss") == pytest.approx(plain.curve("train/loss"), abs=0.1)


def test_fp16_on_a_cpu_is_refused_in_words(tmp_path: Path) -> None:
    """It names what to use instead."""
    with pytest.raises(CannotBuild, match=r"train\.precision: fp16 needs a CUDA device"):
        Trained(tmp_path, train={"precision": "fp16"})


@pytest.mark.parametrize("read_test", [False, True])
def test_logits_that_are_no_numbers_never_score(tmp_path: Path, read_test: bool) -> None:
    """One step at a rate that ruins the weights: its loss is finite, the evaluation's is not."""
    settings = {"epochs": 1, "batch_size": 512, "learning_rate": 1e30, "max_grad_norm": 0.0}
    events: list[RunEvent] = []
    with pytest.raises(
        Diverged, match=r"^the logits of \d+ of \d+ rows are not finite at epoch 1"
    ):
        train(toy_spec(train=settings, read_test=read_test), events.append, workspace(tmp_path))
    assert not [event for event in events if event.kind == "epoch"]


class _Ruined(torch.autograd.Function):
    """Logits that are no numbers, and no gradient: the weights stay sound."""

    @staticmethod
    def forward(context: Any, logits: torch.Tensor) -> torch.Tensor:
        return torch.full_like(logits, math.nan)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(gradients[0])


class _RuinedAt(Head):
    """Trains the head; the logits of one training step are no numbers."""

    step: int

    def apply(self, model: Any) -> Any:
        calls = itertools.count(1)

        def ruin(module: torch.nn.Module, args: Any, output: Any) -> Any:
            if module.training and next(calls) == self.step:
                output["logits"] = _Ruined.apply(output["logits"])
            return output

        built = super().apply(model)
        built.register_forward_hook(ruin)
        return built


@pytest.mark.parametrize("step", [1, 100, 256])
def test_a_loss_that_is_no_number_at_any_one_step_ends_the_run(tmp_path: Path, step: int) -> None:
    """Also where the weights are sound after it, and in the steps after the curve's last point."""
    settings = {"epochs": 2, "batch_size": 1, "learning_rate": 1e-3}
    spec = toy_spec(train=settings).model_copy(update={"method": _RuinedAt(step=step)})
    events: list[RunEvent] = []
    with pytest.raises(Diverged, match=r"^train/loss is nan at step \d+$") as caught:
        train(spec, events.append, workspace(tmp_path))
    seen = int(str(caught.value).rpartition(" ")[2])
    assert step <= seen < step + 5  # a fiftieth of the steps


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_single_row_whose_logits_are_no_numbers_is_enough(wrong: float) -> None:
    """Its largest logit would be that of the first class, or of the infinite one."""
    check_finite(numpy.zeros((3, 2)), "at epoch 1")
    logits = numpy.array([[0.0, 1.0], [wrong, 0.0], [1.0, 0.0]])
    with pytest.raises(Diverged, match=r"^the logits of 1 of 3 rows are not finite at epoch 1$"):
        check_finite(logits, "at epoch 1")


def test_test_scores_agree_with_the_stored_predictions(tmp_path: Path) -> None:
    """Scored once, every prediction kept; scikit-learn on the file gives the same."""
    trained = Trained(tmp_path, read_test=True)
    frame = pandas.read_parquet(trained.folder / "predictions.parquet")
    data = load_task(toy_spec().task, tmp_path, 2022)
    assert list(frame["id"]) == [example.id for example in data.test]
    assert list(frame["label"]) == [example.label for example in data.test]
    test = trained.result.test
    assert test is not None
    assert test["accuracy"] == pytest.approx(accuracy_score(frame["label"], frame["prediction"]))
    macro = f1_score(frame["label"], frame["prediction"], average="macro")
    assert test["macro_f1"] == pytest.approx(macro)
    columns = [f"probability/{label}" for label in data.labels]
    assert frame[columns].sum(axis=1).to_numpy() == pytest.approx(1.0)


def test_rows_that_stand_in_train_are_marked_and_the_others_scored_apart(tmp_path: Path) -> None:
    """Two of six test texts stand in train; the scores of the other four are given beside."""
    train_rows = [("good", f"a good meal {n}") for n in range(8)]
    train_rows += [("bad", f"a bad meal {n}") for n in range(8)]
    test_rows = [*train_rows[:1], *train_rows[8:9], ("good", "x"), ("bad", "y"), ("bad", "z")]
    test_rows += [("good", "fine")]
    for name, rows in (("train", train_rows), ("test", test_rows)):
        lines = "".join(f"{label}\t{text}\n" for label, text in rows)
        (tmp_path / f"{name}.tsv").write_text("label\ttext\n" + lines)
    files = {split: str(tmp_path / f"{split}.tsv") for split in ("train", "test")}
    task = {"kind": "text_file", "name": "meals", "text": "text", "label": "label", **files}
    trained = Trained(tmp_path, task=task, read_test=True)
    frame = pandas.read_parquet(trained.folder / "predictions.parquet")
    assert list(frame["seen_in_train"]) == [True, True, False, False, False, False]
    unseen = frame[2:]
    test = trained.result.test
    assert test is not None
    assert test["unseen/accuracy"] == accuracy_score(unseen["label"], unseen["prediction"])
    macro = f1_score(unseen["label"], unseen["prediction"], average="macro")
    assert test["unseen/macro_f1"] == pytest.approx(macro)
    assert test["majority_accuracy"] == 0.5
    assert trained.result.facts["rows.test_seen_in_train"] == "2"


def test_the_test_split_is_not_touched_unless_the_spec_says_so(tmp_path: Path) -> None:
    """No score, no file."""
    trained = Trained(tmp_path)
    assert trained.result.test is None
    assert not (trained.folder / "predictions.parquet").exists()


def test_memory_and_time_are_measured_by_phase(tmp_path: Path) -> None:
    """Load, train and eval, each with a peak and seconds that are plausible."""
    result = Trained(tmp_path).result
    for phase in ("load", "train", "eval"):
        assert result.memory[f"{phase}/peak_bytes"] > 50 * 1024**2
        assert 0 < result.seconds[phase] < 120
    assert result.memory["train/peak_bytes"] >= result.memory["load/peak_bytes"] // 2


def test_the_environment_is_named(tmp_path: Path) -> None:
    """Versions, hardware and data digests."""
    facts = Trained(tmp_path).result.facts
    names = {"torch", "transformers", "peft", "cpu", "threads", "device", "memory_source"}
    assert names <= facts.keys()
    assert len(facts["data.train"]) == 64


@pytest.mark.parametrize("method", ["full", "lora", "pfeiffer", "prompt"])
def test_a_kept_model_predicts_as_it_did(tmp_path: Path, method: str) -> None:
    """Loaded in one line; probabilities equal those of the run's own test."""
    trained = Trained(tmp_path, method=method, save=True, read_test=True, train={"epochs": 1})
    data = load_task(toy_spec().task, tmp_path, 2022)
    classifier = load_trained(trained.folder / "model")
    predicted = classifier.predict([example.text for example in data.test])
    stored = pandas.read_parquet(trained.folder / "predictions.parquet")
    assert list(predicted["label"]) == list(stored["prediction"])
    column = f"probability/{data.labels[0]}"
    assert predicted[column].to_numpy() == pytest.approx(stored[column].to_numpy(), abs=1e-5)
