"""A cap on memory: what is predicted over it is not started, and the search learns."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

from tests.journals import cell_trials, events, records
from tests.launchers import wait_until
from tests.specs import QUICK, toy_spec, toy_study, toy_tree, workspace
from trainers.contract import Emit, ParameterCounts, RunResult, RunSpec, Workspace
from trainers.errors import ConfigError
from trainers.memory.expect import ExpectedMemory, expect_memory, weights_bytes
from trainers.train.loop import train
from tuner.cli.validate import check_cap
from tuner.config import StudyConfig, dump_study, parse_bytes, parse_study, plan, show_bytes
from tuner.executors import Executor
from tuner.store.records import RunRecord
from tuner.study.memory_cap import NOT_PREDICTED, MemoryForecast, MemoryPrediction
from tuner.study.run import StudyOutcome, check_inputs, run_study
from tuner.study.tickets import MEMORY_CAP

ROWS = {"kind": "toy", "rows": 1024}
MARGIN = 60_000_000


class Place:
    """A store in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, config: StudyConfig) -> StudyOutcome:
        """Run a study."""
        return run_study(config, store=self.root, tracking="none", data_dir=self.root)

    def records(self, study: str = "toy-study") -> list[RunRecord]:
        """Read what the journal has, in the order of time."""
        return records(self.root, study)

    def trials(self, config: StudyConfig) -> list[FrozenTrial]:
        """Read the trials of the first cell."""
        cell = plan(config, check_inputs(config, self.root))[0]
        return cell_trials(self.root, cell)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make an empty store."""
    return Place(tmp_path / "store")


def needed(folder: Path, **changes: Any) -> int:
    """Return what a run is predicted to need in this process, once a trace and a run were here."""
    place = workspace(folder)
    expect_memory(toy_spec(), place)
    train(toy_spec(train={"epochs": 1}), lambda event: None, place)
    return expect_memory(toy_spec(**changes), place).needed_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("24GB", 24 * 10**9),
        ("20GiB", 20 * 2**30),
        ("1.5 gb", 1_500_000_000),
        ("300 B", 300),
        ("3000000", 3_000_000),
        (3_000_000, 3_000_000),
        ("64kB", 64_000),
    ],
)
def test_a_size_is_read_with_its_unit(text: object, size: int) -> None:
    """GB is 1e9, GiB is 2^30, no unit is bytes."""
    assert parse_bytes(text) == size
    assert toy_study(memory_cap=text).memory_cap == size


@pytest.mark.parametrize(
    "cap", ["banana", -1, 0, 24, "24", "10XB", "0GB", "-3GB", "", True, 1.5e400]
)
def test_what_is_no_size_is_refused_in_one_line(cap: object) -> None:
    """With the key, what was got and what is allowed."""
    with pytest.raises(ConfigError, match=r"memory_cap: expected .*24GB.*got") as caught:
        toy_study(memory_cap=cap)
    assert "\n" not in str(caught.value)


def test_a_cap_is_the_same_in_the_resolved_study() -> None:
    """It may be written in units and is stored in bytes; a search under another is another.

    It is no part of a run's identity.
    """
    import yaml

    config = toy_study(memory_cap="2GB")
    assert parse_study(yaml.safe_load(dump_study(config))) == config
    cells = [plan(toy_study(memory_cap=cap))[0] for cap in ("2GB", "device", None)]
    assert len({cell.spec(cell.study.search.seeds[0]).digest() for cell in cells}) == 1
    assert len({cell.fingerprint() for cell in cells}) == 3
    unsearched = [plan(cell.study)[1] for cell in cells]
    assert len({cell.fingerprint() for cell in unsearched}) == 1


def test_what_another_cap_let_in_is_known_to_be_over_this_one(
    place: Place, tmp_path: Path
) -> None:
    """A study without a cap has done both trials: one is found, the other is refused."""
    cap = needed(tmp_path, task=ROWS, train={"batch_size": 64}) + MARGIN
    batches = {"train.batch_size": {"choice": [64, 1024]}}
    changes: dict[str, Any] = {
        "tasks": [ROWS],
        "train": QUICK | {"epochs": 1, "learning_rate": 1e-6},
        "search": {"trials": 2, "seeds": [7], "pruner": "none", "sampler": "grid"},
        "confirm": {"seeds": [1]},
        "arms": {"full": {"method": "full", "space": batches}},
    }
    assert place.run(toy_study(name="a", **changes)).failures == ()
    capped = toy_study(name="b", memory_cap=cap, **changes)
    assert place.run(capped) == StudyOutcome(failures=(), unfinished=())
    trials = {trial.params["train.batch_size"]: trial for trial in place.trials(capped)}
    assert trials[64].constraints[MEMORY_CAP] <= 0
    assert trials[64].state is TrialState.COMPLETE
    assert trials[1024].state is TrialState.PRUNED
    assert trials[1024].constraints[MEMORY_CAP] > 0
    assert trials[1024].intermediate_values == {}
    (refused,) = [r for r in place.records("b") if r.state == "pruned" and r.digest]
    assert "is over memory_cap" in refused.reason
    assert "predicted/train_peak_bytes" in str(refused.metrics)
    confirmed = [r for r in place.records("b") if r.group.phase == "confirm"]
    assert [r.params["train.batch_size"] for r in confirmed] == ["64"]


def test_a_refusal_is_for_that_cap_and_study_alone(place: Place) -> None:
    """With a higher one, with none, and in another study the same trials are done."""
    batches = {"choice": [8, 16]}
    arms = {"full": {"method": "full", "space": {"train.batch_size": batches}}}
    for name, cap in (("a", "50MB"), ("b", "50MB"), ("a", "20GB"), ("a", None)):
        config = toy_study(name=name, memory_cap=cap, arms=arms, train=QUICK | {"epochs": 1})
        outcome = place.run(config)
        assert bool(outcome.failures) == (cap == "50MB"), (name, cap)
        states = {trial.state for trial in place.trials(config)}
        assert states == {TrialState.PRUNED if cap == "50MB" else TrialState.COMPLETE}


def test_bytes_are_shown_with_three_digits() -> None:
    """In powers of a thousand."""
    assert [show_bytes(n) for n in (24e9, 1234, 7)] == ["24 GB", "1.23 kB", "7 B"]


def test_a_trial_over_the_cap_is_pruned_before_it_starts(place: Place, tmp_path: Path) -> None:
    """Optuna and the tracker have the prediction; the trial that fits is confirmed."""
    cap = needed(tmp_path, task=ROWS, train={"batch_size": 64}) + MARGIN
    batches = {"choice": [64, 1024]}
    config = toy_study(
        tasks=[ROWS],
        train=QUICK | {"epochs": 1},
        memory_cap=cap,
        search={"trials": 2, "seeds": [7], "pruner": "none", "sampler": "grid"},
        confirm={"seeds": [1]},
        arms={"full": {"method": "full", "space": {"train.batch_size": batches}}},
    )
    assert place.run(config) == StudyOutcome(failures=(), unfinished=())
    trials = {trial.params["train.batch_size"]: trial for trial in place.trials(config)}
    assert trials[64].state is TrialState.COMPLETE
    assert trials[64].constraints[MEMORY_CAP] <= 0
    assert trials[1024].state is TrialState.PRUNED
    assert trials[1024].constraints[MEMORY_CAP] > 0
    found = {(r.group.phase, r.params["train.batch_size"]): r for r in place.records()}
    refused = found["search", "1024"]
    assert refused.state == "pruned"
    assert refused.reason.startswith("predicted peak of memory ")
    assert f"is over memory_cap {show_bytes(cap)}" in refused.reason
    (event,) = events(place.root, refused)
    assert event.kind == "refused"
    predicted = refused.metrics["memory/predicted/framework_bytes"]
    predicted += refused.metrics["memory/predicted/train_peak_bytes"]
    assert predicted == cap + trials[1024].constraints[MEMORY_CAP]
    assert not [name for name in refused.metrics if not name.startswith("memory/predicted/")]
    assert found["confirm", "64"].state == "finished"
    again = place.run(config)
    assert again == StudyOutcome(failures=(), unfinished=())


def test_a_search_whose_every_trial_is_over_the_cap_is_a_failure(place: Place) -> None:
    """One line with the smallest prediction and the cap, the next time too."""
    config = toy_study(
        memory_cap="50MB",
        arms={"full": {"method": "full", "space": {"train.batch_size": {"choice": [8, 16]}}}},
    )
    for _ in range(2):
        outcome = place.run(config)
        (failure,) = outcome.failures
        assert "every trial's predicted peak of memory is over the cap: the smallest is" in failure
        assert re.search(r"[\d.]+ [MG]B, memory_cap 50 MB\Z", failure)  # as large as this process
        assert outcome.unfinished == ("toy / tiny-bert / full",)


def test_a_trial_is_over_the_cap_where_one_of_its_seeds_is(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sampler is told of the largest run, and a search of such trials says what it lacks."""
    predict = MemoryForecast.before

    def before(self: MemoryForecast, spec: RunSpec, workspace: Workspace) -> MemoryPrediction:
        predicted = predict(self, spec, workspace)
        return replace(predicted, limit=1) if spec.seeds.init == 8 else predicted

    monkeypatch.setattr(MemoryForecast, "before", before)
    config = toy_study(
        memory_cap="20GB",
        train=QUICK | {"epochs": 1},
        search={"trials": 1, "seeds": [7, 8], "pruner": "none"},
        arms={"h": {"method": "head", "space": {"train.learning_rate": {"choice": [1e-3]}}}},
    )
    (failure,) = place.run(config).failures
    assert "every trial's predicted peak of memory is over the cap" in failure
    (trial,) = place.trials(config)
    assert trial.state is TrialState.PRUNED
    assert trial.constraints[MEMORY_CAP] > 0


@pytest.mark.slow
def test_the_search_learns_what_does_not_fit(place: Place, tmp_path: Path) -> None:
    """TPE, told by the constraint, keeps away from the batches that do not fit."""
    cap = needed(tmp_path, task=ROWS, train={"batch_size": 64}) + MARGIN
    space = {"train.batch_size": {"int": [8, 1024], "log": True}}
    config = toy_study(
        tasks=[ROWS],
        train=QUICK | {"epochs": 1},
        memory_cap=cap,
        search={
            "trials": 12,
            "seeds": [7],
            "pruner": "none",
            "sampler": {"kind": "tpe", "n_startup_trials": 6},
        },
        confirm={"seeds": [1]},
        arms={"full": {"method": "full", "space": space}},
    )
    assert place.run(config).failures == ()
    refused = [t.state is TrialState.PRUNED for t in place.trials(config)]
    assert any(refused[:6])
    assert sum(refused[6:]) <= 1


def test_an_arm_over_the_cap_fails_with_one_line_and_is_not_started(
    place: Place, tmp_path: Path
) -> None:
    """No trial could be pruned; the other arm is confirmed."""
    cap = needed(tmp_path, task=ROWS, train={"batch_size": 8}) + MARGIN
    large = {"method": "full", "train": {"batch_size": 1024}}
    small = {"method": "head", "train": {"batch_size": 8, "epochs": 1}}
    config = toy_study(
        tasks=[ROWS], memory_cap=cap, confirm={"seeds": [1]}, arms={"a": large, "b": small}
    )
    outcome = place.run(config)
    (failure,) = outcome.failures
    assert "predicted peak of memory" in failure
    assert "\n" not in failure
    assert outcome.unfinished == ("toy / tiny-bert / a",)
    assert {r.group.arm: r.state for r in place.records()} == {"a": "failed", "b": "finished"}


def test_a_confirm_run_over_the_cap_whose_trial_was_let_in_is_done_with_fewer_rows(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of its rows may need more than the trial's did; the cell is confirmed still."""
    predict = MemoryForecast.before

    def before(self: MemoryForecast, spec: RunSpec, workspace: Workspace) -> MemoryPrediction:
        predicted = predict(self, spec, workspace)
        return (
            replace(predicted, limit=1)
            if spec.read_test and spec.train.batch_size > 4
            else predicted
        )

    monkeypatch.setattr(MemoryForecast, "before", before)
    space = {"train.learning_rate": {"choice": [1e-3]}}
    config = toy_study(
        memory_cap="20GB",
        train=QUICK | {"epochs": 1, "batch_size": 8},
        search={"trials": 1, "seeds": [7], "pruner": "none"},
        confirm={"seeds": [1]},
        arms={"h": {"method": "head", "space": space}},
    )
    assert place.run(config) == StudyOutcome(failures=(), unfinished=())
    refused, done = (r for r in place.records() if r.group.phase == "confirm")
    assert refused.state == "killed"
    assert refused.reason.endswith("is over memory_cap 1 B; tried again with fewer rows at once")
    assert done.state == "finished"
    assert done.params["retry.batch_size"] == "4"
    assert done.params["retry.gradient_accumulation"] == "2"
    assert place.run(config) == StudyOutcome(failures=(), unfinished=())


def test_a_cap_below_the_weights_is_refused_at_the_start(place: Place) -> None:
    """In one line with the model's name, before anything is written."""
    with pytest.raises(ConfigError, match=r"memory_cap: got 9 kB, less than the weights .*bert"):
        place.run(toy_study(memory_cap="9kB"))
    assert not place.root.exists()


def test_weights_are_those_of_one_rank_whatever_the_method() -> None:
    """ZeRO-3 divides them, DeepSpeed halves them; BOFT cannot be traced, its model can."""
    whole = weights_bytes(toy_spec())
    zero3 = {"zero_optimization": {"stage": 3}}
    assert weights_bytes(toy_spec(ranks=4, deepspeed=zero3)) == pytest.approx(whole / 4, abs=1)
    half = {"precision": "bf16"}
    assert weights_bytes(toy_spec(train=half)) == whole  # autocast
    zero2 = {"zero_optimization": {"stage": 2}}
    assert weights_bytes(toy_spec(ranks=2, deepspeed=zero2, train=half)) == whole / 2
    assert weights_bytes(toy_spec(method={"kind": "peft_any", "type": "BOFT"})) == whole


def test_a_cap_is_checked_for_the_models_that_can_be_had(tmp_path: Path) -> None:
    """`validate` passes over one that is not here, in whatever order they stand."""
    missing = {"kind": "hub", "id": str(tmp_path / "none"), "name": "none"}
    for models in ([missing, "tiny-bert"], ["tiny-bert", missing]):
        cells = plan(toy_study(memory_cap="9kB", models=models))
        with pytest.raises(ConfigError, match="less than the weights alone of tiny-bert"):
            check_cap(cells)


def test_search_and_confirm_runs_of_all_seeds_and_rates_share_a_trace(tmp_path: Path) -> None:
    """What no tensor's size depends on makes no new one; a batch does."""
    place = workspace(tmp_path)
    expect_memory(toy_spec(), place)
    for changes in (
        {"read_test": True},
        {"seeds": {"init": 5, "order": 6}},
        {"train": {"learning_rate": 1e-5, "weight_decay": 0.1, "epochs": 3}},
    ):
        expect_memory(toy_spec(**changes), place)
    kept = place.cache_dir / "memory"
    assert len(list(kept.iterdir())) == 1
    expect_memory(toy_spec(train={"batch_size": 16}), place)
    assert len(list(kept.iterdir())) == 2


def test_the_devices_free_memory_is_a_cap(place: Place) -> None:
    """On this machine a tiny model fits."""
    config = toy_study(memory_cap="device", confirm={"seeds": [1]}, arms={"h": {"method": "head"}})
    assert place.run(config) == StudyOutcome(failures=(), unfinished=())


def test_every_run_has_its_prediction_beside_what_was_measured(place: Place) -> None:
    """Like with like: bytes of tensors, here by the allocator's record."""
    place.run(parse_study(toy_tree(measure="allocator")))
    for record in place.records():
        metrics = record.metrics
        predicted = metrics["memory/predicted/train_peak_bytes"]
        measured = metrics["memory/measured/train_peak_bytes"]
        assert measured == metrics["memory/train/allocator_bytes"]
        assert metrics["memory/predicted/error"] == pytest.approx(predicted / measured - 1)
        assert abs(metrics["memory/predicted/error"]) < 0.05
        for phase in ("load", "eval"):
            assert metrics[f"memory/predicted/{phase}_peak_bytes"] > 0
            assert metrics[f"memory/measured/{phase}_peak_bytes"] > 0


class Counting(Executor):
    """Counts what is computed, and takes its time over it."""

    computes_aside = True

    def __init__(self) -> None:
        self.computed: list[str] = []

    def compute(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Predict the same for every run."""
        self.computed.append(function.__name__)
        time.sleep(0.2)
        sizes = dict.fromkeys(ExpectedMemory.model_fields, 1)
        return ExpectedMemory.model_validate(sizes)

    def run(self, spec: RunSpec, emit: Emit, workspace: Workspace) -> RunResult:
        """Do nothing: no run is asked for."""
        raise NotImplementedError

    def close(self) -> None:
        """Do nothing."""


def test_a_kind_of_run_is_predicted_once_beside_the_first(tmp_path: Path) -> None:
    """However many begin at once; the end of a run waits for it."""
    executor, spec, here = Counting(), toy_spec(), workspace(tmp_path)
    forecast = MemoryForecast(executor)
    counts = ParameterCounts(total=1, trained=1, head=1)
    result = RunResult(
        validation={}, test=None, epoch=1, parameters=counts, memory={}, seconds={}, facts={}
    )
    for _ in range(3):
        forecast.beside(spec, here)
    wait_until(lambda: executor.computed != [])  # the first of them has begun
    ended = [forecast.after(spec, here, result) for _ in range(2)]
    assert executor.computed == ["expect_in_background"]
    assert all(run.expected["predicted/train_peak_bytes"] == 1 for run in ended)
    forecast.beside(spec, here)
    assert executor.computed == ["expect_in_background"]


def test_under_a_cap_nothing_is_predicted_beside_a_run(tmp_path: Path) -> None:
    """It has been before the run began."""
    executor = Counting()
    MemoryForecast(executor, cap=10**9).beside(toy_spec(), workspace(tmp_path))
    assert executor.computed == []


def test_a_run_that_cannot_be_predicted_is_done_and_says_why(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prediction is a help, no condition."""

    def fail(spec: RunSpec, labels: int) -> None:
        raise NotImplementedError("no such operator under fake tensors")

    monkeypatch.setattr("trainers.memory.skeleton.build", fail)
    config = toy_study(confirm={"seeds": [1]}, arms={"h": {"method": "head"}})
    assert place.run(config) == StudyOutcome(failures=(), unfinished=())
    (record,) = place.records()
    assert "no such operator" in record.facts[NOT_PREDICTED]
    assert "memory/predicted/error" not in record.metrics
