"""Runs that run out of memory: tried again with fewer rows at once, then failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.modules.module import register_module_forward_pre_hook

from tests.journals import events, records
from tests.specs import toy_spec, toy_study
from trainers.errors import OutOfMemory
from tuner.store.records import RunRecord
from tuner.study.retry import describe_retry, retry_params, smaller
from tuner.study.run import StudyOutcome, run_study
from tuner.tracking import open_reader

HEAD = {"head": {"method": "head"}}


@contextmanager
def memory_for(rows: int, *, training: bool = True) -> Iterator[None]:
    """Make a forward pass of more rows fail as torch fails when memory runs out."""

    def check(module: torch.nn.Module, args: tuple[Any, ...]) -> None:
        held = args[0].shape[0] if args and isinstance(args[0], torch.Tensor) else 0
        if held and isinstance(args[0], FakeTensor):
            return  # a prediction takes no memory
        if isinstance(module, torch.nn.Linear) and module.training == training and held > rows:
            raise torch.OutOfMemoryError(f"no memory for {held} rows\nand a second line")

    handle = register_module_forward_pre_hook(check)
    try:
        yield
    finally:
        handle.remove()


class Place:
    """A store in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, **changes: Any) -> StudyOutcome:
        """Run a study with one arm that is not searched, on one seed."""
        study = {"arms": HEAD, "confirm": {"seeds": [1]}} | changes
        return run_study(toy_study(**study), store=self.root, tracking="none")

    def records(self) -> list[RunRecord]:
        """Read what the journal has, in the order of time."""
        return records(self.root)


@pytest.fixture
def place(empty_store: Path) -> Place:
    """Make an empty store."""
    return Place(empty_store)


@settings(deadline=None)
@given(batch=st.integers(1, 600), accumulation=st.integers(1, 8))
def test_the_effective_batch_stays_down_to_one_row(batch: int, accumulation: int) -> None:
    """Even or odd, each step has fewer rows at once and the same rows in an optimizer step."""
    spec = toy_spec(train={"batch_size": batch, "gradient_accumulation": accumulation})
    seen = [batch]
    while (fewer := smaller(spec, "train")) is not None:
        settings = fewer.train
        assert settings.batch_size * settings.gradient_accumulation == batch * accumulation
        assert settings.batch_size < seen[-1]
        assert seen[-1] % 2 or settings.batch_size == seen[-1] // 2
        seen.append(settings.batch_size)
        spec = fewer
    assert seen[-1] == 1


def test_an_evaluation_has_its_own_batch_and_loading_none() -> None:
    """Fewer rows of training would not help where the evaluation or the weights are too large."""
    spec = toy_spec(train={"batch_size": 8, "eval_batch_size": 5})
    fewer = smaller(spec, "eval")
    assert fewer is not None
    assert retry_params(spec, fewer) == {"retry.eval_batch_size": "2"}
    assert smaller(spec, "load") is None
    assert smaller(toy_spec(train={"eval_batch_size": 1}), "eval") is None


def test_a_run_goes_through_with_fewer_rows_at_once(place: Place) -> None:
    """The spec and its folder stay; the change is a param and a tag; the scores are as without."""
    with memory_for(8):
        assert place.run() == StudyOutcome(failures=(), unfinished=())
    aborted, half, whole = place.records()
    assert [run.state for run in (aborted, half, whole)] == ["killed", "killed", "finished"]
    assert "no memory for 32 rows" in aborted.reason
    assert "no memory for 16 rows" in half.reason
    assert "\n" not in aborted.reason
    assert whole.params["train.batch_size"] == "32"
    changed = {"retry.batch_size": "8", "retry.gradient_accumulation": "4"}
    assert {k: v for k, v in whole.params.items() if k.startswith("retry.")} == changed
    assert {k: v for k, v in whole.facts.items() if k.startswith("retry.")} == changed
    assert len({run.digest for run in place.records()}) == 1
    predicted = [r.metrics["memory/predicted/train_peak_bytes"] for r in (aborted, half, whole)]
    assert predicted[0] > predicted[1] > predicted[2]


def test_no_event_of_an_aborted_try_stays_beside_those_of_the_next(place: Place) -> None:
    """Memory runs out in the first evaluation, when a curve is there already."""
    with memory_for(16, training=False):
        place.run()
    *aborted, whole = place.records()
    assert len(aborted) == 2
    journal = events(place.root, whole)
    kinds = Counter((event.kind, event.step) for event in journal)
    assert set(kinds.values()) == {1}
    reader = open_reader(place.root)
    reader.runs("toy-study")
    (curve,) = reader.curves([whole.run_id], ["train/loss"])
    steps = [event.step for event in journal if "train/loss" in event.metrics]
    assert list(curve.steps) == steps
    assert whole.params["retry.eval_batch_size"] == "16"
    assert "retry.batch_size" not in whole.params


def test_a_run_that_no_batch_helps_is_failed_at_one_row(place: Place) -> None:
    """It says what was asked for last, and the study continues."""
    with memory_for(0):
        outcome = place.run()
    (failure,) = outcome.failures
    assert "out of memory (train): no memory for 1 rows" in failure
    records = place.records()
    assert [run.state for run in records] == ["killed"] * 5 + ["failed"]
    assert records[-1].params["retry.batch_size"] == "1"
    assert records[-1].params["retry.gradient_accumulation"] == "32"


def test_a_reused_run_brings_its_change_along(place: Place) -> None:
    """A second study that holds the same run shows the same param and tag."""
    with memory_for(16):
        place.run()
    place.run(name="other")
    (reused,) = records(place.root, "other")
    assert reused.params["retry.batch_size"] == reused.facts["retry.batch_size"] == "16"


def test_each_epoch_is_reported_once_to_the_search(place: Place) -> None:
    """Two tries come to the same epochs; a second report would be a warning."""
    passes = Counter[str]()

    def check(module: torch.nn.Module, args: tuple[Any, ...]) -> None:
        if isinstance(module, torch.nn.Linear) and not module.training:
            passes["eval"] += 1
            if passes["eval"] == 20:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes")

    rate = {"float": [1e-4, 1e-2], "log": True}
    arms = {"head": {"method": "head", "space": {"train.learning_rate": rate}}}
    handle = register_module_forward_pre_hook(check)
    try:
        outcome = place.run(arms=arms, search={"trials": 1, "seeds": [7], "pruner": "median"})
    finally:
        handle.remove()
    assert outcome.failures == ()
    assert [run.state for run in place.records()] == ["killed", "finished", "finished"]


def test_out_of_memory_is_known_by_its_type() -> None:
    """It is a failed run for whoever does not ask further, and passes through a pickle."""
    import pickle

    error = pickle.loads(pickle.dumps(OutOfMemory("no memory", "eval")))
    assert (error.reason, error.during, error.detail) == ("no memory", "eval", "")


def test_what_was_changed_is_said_in_words() -> None:
    """On the progress line of a run that was tried again; of another, nothing."""
    spec = toy_spec(train={"batch_size": 8})
    fewer = smaller(spec, "train")
    assert fewer is not None
    said = describe_retry(retry_params(spec, fewer))
    assert said == "with fewer rows at once: batch_size 4, gradient_accumulation 2"
    assert describe_retry(retry_params(spec, spec)) == ""
