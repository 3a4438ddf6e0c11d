"""Studies from end to end, on the tiny model: budget, two phases, resuming, failing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from tests.journals import cell_trials, records
from tests.specs import QUICK, toy_study, toy_tree
from trainers.errors import DataError, RunFailed, TunerError
from tuner.config import StudyConfig, parse_study, plan
from tuner.report.searches import trials_of
from tuner.store.location import Store
from tuner.study.progress import RunNotice
from tuner.study.run import StudyOutcome, check_inputs, run_study

RATE = {"float": [1e-4, 1e-2], "log": True}


class Place:
    """A store under a folder, opened as often as a study is started again."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, config: StudyConfig, **options: Any) -> StudyOutcome:
        """Run or resume a study, as a launcher started anew would."""
        return run_study(
            config,
            store=self.root,
            tracking="none",
            data_dir=self.root / "data",
            **options,
        )

    def records(self, name: str = "toy-study") -> list[Any]:
        """Read what the journal has."""
        return records(self.root, name)

    def trials(self, config: StudyConfig, arm: str = "full") -> list[optuna.trial.FrozenTrial]:
        """Read a cell's trials from Optuna's own storage."""
        cell = next(c for c in plan(config, check_inputs(config, self.root)) if c.arm == arm)
        return cell_trials(self.root, cell)


@pytest.fixture
def place(empty_store: Path) -> Place:
    """Make an empty store."""
    return Place(empty_store)


def test_every_arm_gets_its_budget_and_only_confirm_reads_the_test_split(place: Place) -> None:
    """Two trials for the arm with a space, none for the other, fresh seeds for both."""
    assert place.run(toy_study()) == StudyOutcome(failures=(), unfinished=())
    records = place.records()
    count = Counter((r.group.arm, r.group.phase) for r in records)
    assert count == {("full", "search"): 2, ("full", "confirm"): 2, ("head", "confirm"): 2}
    for record in records:
        tested = any(name.startswith("test/") for name in record.metrics)
        assert tested == (record.group.phase == "confirm")
        assert (record.params["read_test"] == "True") == tested
    assert {r.seeds.init for r in records if r.group.phase == "search"} == {7}
    assert {r.seeds.init for r in records if r.group.phase == "confirm"} == {1, 2}


def test_confirm_runs_use_the_point_that_was_best_on_validation(place: Place) -> None:
    """The learning rate of the best trial, and no other."""
    config = toy_study(search={"trials": 3, "seeds": [7], "pruner": "none"})
    place.run(config)
    best = max(place.trials(config), key=lambda trial: trial.value or 0.0)
    rates = {
        float(r.params["train.learning_rate"])
        for r in place.records()
        if r.group.phase == "confirm" and r.group.arm == "full"
    }
    assert rates == {best.params["train.learning_rate"]}


def test_a_finished_study_is_not_trained_again(place: Place) -> None:
    """The second call finds every run and changes no record."""
    place.run(toy_study())
    before = place.records()
    notices: list[RunNotice] = []
    place.run(toy_study(), watch=notices.append)
    assert {notice.reused for notice in notices if notice.state != "running"} == {True}
    assert [(r.run_id, r.metrics) for r in place.records()] == [
        (r.run_id, r.metrics) for r in before
    ]


def test_data_that_are_put_right_bring_their_runs_back(place: Place, tmp_path: Path) -> None:
    """Those on wrong data are done in between; those on the right ones are found after."""
    rows = "".join(f"a {word} text {n},{word}\n" for n in range(8) for word in ("ham", "spam"))
    right = f"text,label\n{rows}"
    (tmp_path / "train.csv").write_text(right)
    task = {"kind": "text_file", "name": "t", "train": "train.csv", "test": "test.csv"}
    config = parse_study(
        toy_tree(tasks=[task], arms={"head": {"method": "head"}}), folder=tmp_path
    )
    reused, scores = [], []
    for content in (right, right.replace("text 3", "other 3"), right, right):
        (tmp_path / "test.csv").write_text(content.replace("a ", "one "))
        notices: list[RunNotice] = []
        place.run(config, watch=notices.append)
        ended = [notice for notice in notices if notice.state == "finished"]
        reused.append({notice.reused for notice in ended})
        scores.append([notice.seconds for notice in ended])
    assert reused == [{False}, {False}, {True}, {True}]
    assert sorted(scores[0]) == sorted(scores[2]) == sorted(scores[3])
    assert len([r for r in place.records() if r.state == "finished"]) == 4


def test_seconds_of_a_run_are_its_own_also_where_it_is_found(place: Place) -> None:
    """Neither a wait for a place nor the reading of what was kept is a run's time."""
    config = toy_study(confirm={"seeds": [1]}, arms={"head": {"method": "head"}})
    told: list[RunNotice] = []
    for _ in range(2):
        place.run(config, watch=told.append)
    first, again = (notice for notice in told if notice.state == "finished")
    (record,) = place.records()
    own = sum(v for name, v in record.metrics.items() if name.startswith("seconds/"))
    assert (first.reused, again.reused) == (False, True)
    assert first.seconds == again.seconds == pytest.approx(own)


def test_more_trials_and_seeds_go_on_where_the_study_was(place: Place) -> None:
    """A larger budget adds to the old one."""
    place.run(toy_study())
    larger = toy_study(
        search={"trials": 3, "seeds": [7], "pruner": "none"}, confirm={"seeds": [1, 2, 3]}
    )
    done: list[RunNotice] = []
    place.run(larger, watch=lambda n: done.append(n) if n.state != "running" else None)
    assert len(place.trials(larger)) == 3
    assert [n.trial for n in done if n.phase == "search"] == [2]


def test_a_smaller_budget_chooses_among_the_first_trials(place: Place) -> None:
    """Trials beyond the budget, left from a larger one, have no say in the comparison."""
    search = {"trials": 4, "seeds": [7], "pruner": "none", "sampler": "grid"}
    rate = {"choice": [1e-6, 1e-5, 1e-4, 3e-3]}
    arms = {"full": {"method": "full", "space": {"train.learning_rate": rate}}}
    large = toy_study(search=search, arms=arms)

    def confirmed() -> set[int | None]:
        return {r.group.trial for r in place.records() if r.group.phase == "confirm"}

    place.run(large)
    before = confirmed()
    assert 0 not in before
    place.run(toy_study(search=search | {"trials": 1}, arms=arms))
    assert confirmed() - before == {0}


@pytest.mark.parametrize("moment", ["search", "confirm"])
def test_an_interrupted_study_goes_on_and_ends_like_an_uninterrupted_one(
    tmp_path: Path, moment: str
) -> None:
    """Ctrl-C in a run: it is shown as killed, done again, and every number is the same."""
    config = toy_study(search={"trials": 3, "seeds": [7], "pruner": "none"})
    whole, broken = Place(tmp_path / "whole"), Place(tmp_path / "broken")
    whole.run(config)

    def interrupt(notice: RunNotice) -> None:
        second = notice.trial == 1 if moment == "search" else notice.seed == 2
        if notice.phase == moment and second and notice.event and notice.event.kind == "epoch":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken.run(config, watch=interrupt)
    assert [r.state for r in broken.records()].count("killed") == 1
    assert broken.run(config) == StudyOutcome(failures=(), unfinished=())
    assert _numbers(broken) == _numbers(whole)
    assert len(broken.trials(config)) == 3


def test_a_bad_trial_is_pruned_everywhere_and_good_ones_are_not(place: Place) -> None:
    """Optuna and the tracker agree, and a pruned run has no result."""
    rate = {"choice": [1e-6, 3e-3]}
    tree = toy_tree(
        train=QUICK | {"epochs": 4},
        search={
            "trials": 6,
            "seeds": [7],
            "sampler": "grid",
            "pruner": {"kind": "median", "n_startup_trials": 1},
        },
        arms={
            "full": {
                "method": "full",
                "space": {
                    "train.learning_rate": rate,
                    "train.weight_decay": {"choice": [0, 0.01, 0.1]},
                },
            }
        },
    )
    config = parse_study(tree)
    place.run(config)
    states = {trial.number: trial.state for trial in place.trials(config)}
    assert TrialState.PRUNED in states.values()
    for record in place.records():
        if record.group.phase == "search":
            pruned = states[record.group.trial] is TrialState.PRUNED
            assert record.state == ("pruned" if pruned else "finished")
            assert ("seconds/train" in record.metrics) != pruned
            assert record.reason.startswith("pruned at epoch") == pruned


def test_several_search_seeds_are_averaged(place: Place) -> None:
    """A trial's value is the mean over its seeds; each seed is a run of its own."""
    config = toy_study(search={"trials": 2, "seeds": [7, 8], "pruner": "none"})
    place.run(config)
    for trial in place.trials(config):
        scores = [
            record.metrics["validation/macro_f1"]
            for record in place.records()
            if record.group.phase == "search" and record.group.trial == trial.number
        ]
        assert len(scores) == 2
        assert trial.value == pytest.approx(sum(scores) / 2)


def test_a_trial_that_is_pruned_between_its_seeds_stands_as_pruned(place: Place) -> None:
    """In Optuna, in its parent, in the report's trials and on the screen; its runs did finish."""
    config = toy_study(
        search={
            "trials": 2,
            "seeds": [7, 8, 9, 10],
            "pruner": {"kind": "wilcoxon", "p_threshold": 0.2},
            "sampler": "grid",
            "sampler_seed": 3,
        },
        confirm={"seeds": [1]},
        arms={
            "full": {"method": "full", "space": {"train.learning_rate": {"choice": [3e-3, 1e-9]}}}
        },
    )
    told: list[RunNotice] = []
    place.run(config, watch=told.append)
    assert [trial.state.name for trial in place.trials(config)] == ["COMPLETE", "PRUNED"]
    trials = trials_of(place.records())
    assert {number: trial.state for number, trial in trials.items()} == {
        0: "finished",
        1: "pruned",
    }
    assert trials[1].reason == "pruned after 3 seeds"
    assert [run.state for run in trials[1].runs] == ["finished"] * 3
    (notice,) = [notice for notice in told if notice.state == "pruned"]
    assert (notice.trial, notice.seed, notice.runs) == (1, None, 1)
    assert notice.reason == "pruned after 3 of 4 seeds"


def test_of_six_search_seeds_a_plainly_worse_configuration_is_spared_the_last(
    place: Place,
) -> None:
    """The Wilcoxon pruner as it comes, on a score that is to be small; the better one has all."""
    seeds = [7, 8, 9, 10, 11, 12]
    config = toy_study(
        search={
            "trials": 2,
            "seeds": seeds,
            "pruner": "wilcoxon",
            "objectives": ["loss"],
            "sampler": "grid",
            "sampler_seed": 3,
        },
        confirm={"seeds": [1]},
        arms={
            "full": {"method": "full", "space": {"train.learning_rate": {"choice": [3e-3, 1e-9]}}}
        },
    )
    place.run(config)
    better, worse = place.trials(config)
    assert (better.params["train.learning_rate"], better.state.name) == (3e-3, "COMPLETE")
    assert (worse.params["train.learning_rate"], worse.state.name) == (1e-9, "PRUNED")
    ended = {number: len(trial.runs) for number, trial in trials_of(place.records()).items()}
    assert ended[better.number] == len(seeds)
    assert 2 < ended[worse.number] < len(seeds)
    assert sorted(worse.intermediate_values) == list(range(ended[worse.number]))


def test_several_objectives_choose_the_best_of_the_first_among_the_pareto_set(
    place: Place,
) -> None:
    """Score up and trained parameters down."""
    config = toy_study(
        search={
            "trials": 3,
            "seeds": [7],
            "pruner": "none",
            "sampler": "random",
            "objectives": ["macro_f1", "parameters/trained"],
        },
        arms={"lora": {"method": "lora", "space": {"method.rank": {"choice": [1, 2, 4]}}}},
    )
    place.run(config)
    trials = place.trials(config, "lora")
    assert all(len(trial.values) == 2 for trial in trials)
    ranks = {r.params["method.rank"] for r in place.records() if r.group.phase == "confirm"}
    best = max(trials, key=lambda trial: (trial.values[0], -trial.values[1]))
    assert ranks == {str(best.params["method.rank"])}


@pytest.mark.parametrize("kind", ["tpe", "random", "qmc", "grid", "cmaes", "gp"])
def test_every_sampler_spends_the_budget(place: Place, kind: str) -> None:
    """By the name the study gives it."""
    space = {"train.learning_rate": RATE, "train.weight_decay": {"float": [0.0, 0.1]}}
    if kind == "grid":
        space = {"train.weight_decay": {"float": [0.0, 0.1], "step": 0.05}}
    config = toy_study(
        train=QUICK | {"epochs": 1},
        search={"trials": 3, "seeds": [7], "pruner": "none", "sampler": kind},
        confirm={"seeds": [1]},
        arms={"head": {"method": "head", "space": space}},
    )
    place.run(config)
    trials = place.trials(config, "head")
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3
    assert len({str(trial.params) for trial in trials}) == 3


def test_a_study_that_keeps_models_shares_its_confirm_runs_with_none(place: Place) -> None:
    """What one deletes, since it is not its best, may be another's best: both have one."""
    arms = {"head": {"method": "head"}}
    options: dict[str, Any] = {"save": "best", "arms": arms, "train": QUICK | {"epochs": 1}}
    for name, seeds in (("a", [1, 2]), ("b", [1, 2, 3])):
        place.run(toy_study(name=name, confirm={"seeds": seeds}, **options))
    for name in ("a", "b"):
        merits = {r.run_id: r.metrics["validation/macro_f1"] for r in place.records(name)}
        folders = {r.run_id: Store(place.root).run_dir(r.digest, 0) for r in place.records(name)}
        (kept,) = [run_id for run_id, folder in folders.items() if (folder / "model").is_dir()]
        assert merits[kept] == max(merits.values())
    assert place.run(toy_study(name="c", arms=arms, train=options["train"])).failures == ()
    digests = {name: {r.digest for r in place.records(name)} for name in ("a", "b", "c")}
    assert not digests["a"] & digests["b"]
    assert not digests["a"] & digests["c"]


def test_failed_confirm_runs_are_tried_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed by accident, such as a full disk, is done when the study is started again."""
    config = toy_study(arms={"head": {"method": "head"}})

    def fail(notice: RunNotice) -> None:
        if notice.seed == 2 and notice.event is not None:
            raise RunFailed("the disk is full")

    outcome = place.run(config, watch=fail)
    assert outcome.unfinished == ("toy / tiny-bert / head",)
    assert place.run(config) == StudyOutcome(failures=(), unfinished=())


def test_time_up_begins_nothing_new(place: Place) -> None:
    """The study says what is not finished, and a later call finishes it."""
    outcome = place.run(toy_study(timeout_seconds=0.0))
    assert len(outcome.unfinished) == 2
    assert (outcome.out_of_time, outcome.exit_code) == (True, 3)
    assert place.records() == []
    assert place.run(toy_study()) == StudyOutcome(failures=(), unfinished=())


def test_time_up_is_nothing_to_a_study_that_is_done(place: Place) -> None:
    """What is done is looked up before the time is."""
    done = place.run(toy_study())
    assert place.run(toy_study(timeout_seconds=0.0)) == done
    assert done.exit_code == 0


def test_time_up_counts_the_cells_that_go_on_whatever_failed(place: Place) -> None:
    """A cell that is left out is none of them, and the exit code says that work is left."""
    arms = {
        "lora": {"method": {"kind": "lora", "targets": ["nowhere"]}},
        "head": {"method": "head"},
    }
    outcome = place.run(toy_study(arms=arms, timeout_seconds=0.0))
    assert outcome.faults.keys() == {"toy / tiny-bert / lora"}
    assert outcome.late == ("toy / tiny-bert / head",)
    assert outcome.exit_code == 3
    after = place.run(toy_study(arms=arms))
    assert (after.late, after.exit_code) == ((), 1)
    assert place.run(toy_study(arms=arms, timeout_seconds=0.0)).exit_code == 1


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([("a", "x")], "one row|1 row"),
        ([("a", "x"), ("b", "x"), ("c", "x")], "class"),
        ([], "no rows|empty"),
    ],
)
def test_unusable_data_is_refused_before_anything_is_written(
    tmp_path: Path, rows: list[tuple[str, str]], says: str
) -> None:
    """The store stays as it was: it is not even made."""
    place = Place(tmp_path / "none")
    lines = ["text,label", *(",".join(row) for row in rows)]
    for split in ("train", "test"):
        (tmp_path / f"{split}.csv").write_text("\n".join(lines) + "\n")
    files = {split: str(tmp_path / f"{split}.csv") for split in ("train", "test")}
    task = {"kind": "text_file", "name": "mine", "text": "text", "label": "label", **files}
    with pytest.raises(DataError, match=says) as caught:
        place.run(toy_study(tasks=[task]))
    assert "\n" not in str(caught.value)
    assert not place.root.exists()


def test_a_missing_file_names_both_ways_to_get_it(tmp_path: Path) -> None:
    """Download it, or name the folder that has it."""
    place = Place(tmp_path / "none")
    with pytest.raises(TunerError, match=r"fetch-data.*--data-dir"):
        place.run(toy_study(tasks=["restaurant_sup"]))
    assert not place.root.exists()


def test_changed_data_are_trained_on_again(place: Place, tmp_path: Path) -> None:
    """The same paths with other rows are another task: search and confirm start anew."""
    files = {split: tmp_path / f"{split}.csv" for split in ("train", "validation", "test")}
    task = {"kind": "text_file", "name": "mine", "text": "text", "label": "label"}
    task |= {split: str(path) for split, path in files.items()}

    def write(words: str) -> None:
        for path in files.values():
            rows = [f"{words} {number},{'ab'[number % 2]}" for number in range(12)]
            path.write_text("\n".join(["text,label", *rows]) + "\n")

    done: list[RunNotice] = []
    config = toy_study(tasks=[task], arms={"head": {"method": "head"}})
    for words, again in (("one", False), ("one", True), ("other", False)):
        write(words)
        done.clear()
        place.run(config, watch=lambda n: done.append(n) if n.state != "running" else None)
        assert [notice.reused for notice in done] == [again, again]
    assert len([r for r in place.records() if r.state == "finished"]) == 4


def _numbers(place: Place) -> dict[tuple[Any, ...], dict[str, float]]:
    """Return every finished run's scores; times and memory differ from run to run."""
    return {
        (r.group.arm, r.group.phase, r.group.trial, r.seeds.init): {
            name: value
            for name, value in r.metrics.items()
            if name.startswith(("train/", "validation/", "test/", "parameters/"))
        }
        for r in place.records()
        if r.state == "finished"
    }
