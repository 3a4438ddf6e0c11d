"""What makes a comparison unfair is said first, or the report refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tuner.report.records import make_metrics, make_record, make_runs, make_trial, report_of
from trainers.errors import ConfigError
from tuner.report import Evidence, PlannedCell, Question, report_on
from tuner.report.guards import TestReadEarly

BOTH = {"full": [0.8, 0.81], "lora": [0.7, 0.71]}


def test_fair_comparisons_have_no_flag() -> None:
    """Equal trials, equal everything."""
    trials = [make_trial(arm, number, 0.5) for arm in BOTH for number in (0, 1)]
    assert report_of([*make_runs(BOTH), *trials]).comparison.flags == ()


def test_unequal_budgets_stand_in_the_first_line() -> None:
    """Of the Markdown, of the rows' notes; with the numbers of trials."""
    trials = [make_trial("full", number, 0.5) for number in range(3)]
    trials += [make_trial("lora", 0, 0.5), make_trial("lora", 1, 0.5, state="killed")]
    made = report_of([*make_runs(BOTH), *trials])
    (flag,) = made.comparison.flags
    assert flag == "unequal search budgets, in trials: full 3, lora 1"
    assert made.text("md").splitlines()[0] == f"> **Not a fair comparison:** {flag}."
    assert made.doubts()[0] == f"Not a fair comparison: {flag}."
    assert "Not a fair comparison: unequal" in made.text("tex")


def test_trials_of_the_same_point_are_no_budget() -> None:
    """Eight trials of a space of two points are two; it is said first, and why below."""
    trials = [make_trial("full", n, 0.5, digest=f"point {n % 2}") for n in range(8)]
    trials += [make_trial("lora", n, 0.5) for n in range(8)]
    made = report_of([*make_runs(BOTH), *trials])
    assert made.comparison.flags == (
        "unequal search budgets, in trials: full 8 (2 different points), lora 8",
    )
    assert any("full: 8 search trials tried 2 different points" in note for note in made.notes())
    cells = made.comparison.frames["cells"].set_index("arm")
    assert cells[["trials", "points"]].drop_duplicates().to_numpy().tolist() == [[8, 2], [8, 8]]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"git_commit": "fedcba9876543210"}, "different code: 01234567 (full); fedcba98 (lora)"),
        ({"git_dirty": "true"}, "01234567 with changes (lora)"),
        ({"torch": "2.14.0"}, "different packages: torch 2.13.0 (full); torch 2.14.0 (lora)"),
        ({"precision": "bf16"}, "different precision: bf16 (lora); fp32 (full)"),
        ({"gpu": "a GPU"}, "different hardware: a CPU, 2 threads (full); a GPU, 2 threads (lora)"),
        ({"data.test": "c" * 64}, "different rows in test: bbbbbbbb (full); cccccccc (lora)"),
    ],
)
def test_runs_of_different_making_are_flagged(facts: dict[str, str], words: str) -> None:
    """Code, packages, precision, hardware, rows."""
    records = [*make_runs({"full": [0.8]}), *make_runs({"lora": [0.7]}, facts=facts)]
    assert any(words in flag for flag in report_of(records).comparison.flags)


def test_arms_that_were_chosen_by_different_metrics_are_flagged() -> None:
    """As when two studies with different metrics are compared on one task."""
    of_loss = {"metric": "loss", "method.kind": "lora"}
    records = [*make_runs({"full": [0.8]}), *make_runs({"lora": [0.7]}, params=of_loss)]
    (flag,) = report_of(records).comparison.flags
    assert flag == "different metric of choice: loss (lora); macro_f1 (full)"


def test_another_data_seed_may_draw_other_rows() -> None:
    """Digests are compared between runs of the same data seed."""
    other: dict[str, Any] = {"data": 7, "facts": {"data.train": "d" * 64}}
    records = [make_record(arm, 1) for arm in BOTH] + [make_record(a, 1, **other) for a in BOTH]
    assert report_of(records).comparison.flags == ()


@pytest.mark.parametrize("sign", ["metric", "spec"])
def test_a_report_on_a_test_that_the_search_has_read_is_refused(sign: str) -> None:
    """The runs are named; nothing is computed."""
    early = make_trial("full", 0, 0.5, run_id="early-bird")
    if sign == "metric":
        early = early.model_copy(update={"metrics": early.metrics | {"test/accuracy": 0.9}})
    else:
        early = early.model_copy(update={"params": early.params | {"read_test": "True"}})
    with pytest.raises(TestReadEarly, match="in the runs early-bird; configurations"):
        report_of([*make_runs(BOTH), early])


def test_an_unknown_baseline_or_metric_is_refused_in_words() -> None:
    """With what there is."""
    with pytest.raises(ConfigError, match=r"--baseline: no such arm 'bitfit'; known: full, lora"):
        report_of(make_runs(BOTH), baseline="bitfit")
    with pytest.raises(ConfigError, match=r"--metric: no run has the test metric 'bleu'; known: "):
        report_of(make_runs(BOTH), metric="bleu")


def test_test_scores_of_other_arms_do_not_flag_confirm_runs() -> None:
    """Confirm runs are there to read the test."""
    records = make_runs(BOTH)
    assert all("test/accuracy" in record.metrics for record in records)
    assert make_metrics(0.5)["test/accuracy"] == 0.5
    assert len(report_of(records).cells) > 0


def test_fixed_settings_that_differ_by_arm_are_said_first() -> None:
    """With the values by arm; what a search varies, and the method's own fields, are not."""
    rates = iter(range(100))

    def params(arm: str, epochs: int) -> dict[str, str]:
        fixed = {"metric": "macro_f1", "method.kind": arm, "method.rank": str(epochs)}
        varied = {"train.learning_rate": f"{next(rates)}e-4"}
        return fixed | varied | {"train.epochs": str(epochs), "train.batch_size": "8"}

    records = [
        run
        for arm, epochs in (("full", 4), ("lora", 1))
        for run in (
            make_record(arm, 1, params=params(arm, epochs)),
            *(make_trial(arm, number, 0.5, params=params(arm, epochs)) for number in (0, 1)),
        )
    ]
    flags = report_of(records).comparison.flags
    assert flags == ("different train.epochs: 1 (lora); 4 (full)",)


def test_other_ranks_and_deepspeed_configs_are_said_first() -> None:
    """The first settings in which they differ, and an arm that has none."""
    plain = {"metric": "macro_f1", "method.kind": "full", "ranks": "1"}
    zero = plain | {"ranks": "2", "deepspeed.zero_optimization.stage": "3"}
    records = [make_record("full", 1, params=plain), make_record("lora", 1, params=zero)]
    flags = report_of(records).comparison.flags
    assert "different ranks: 1 (full); 2 (lora)" in flags
    assert "different DeepSpeed configs: none (full); zero_optimization.stage 3 (lora)" in flags


def searched(chosen: dict[str, dict[str, str]], spaces: dict[str, set[str]]) -> tuple[str, ...]:
    """Return the flags of arms with these params, of which each searches these fields."""
    usual = {"metric": "macro_f1", "train.epochs": "1", "train.learning_rate": "1e-4"}
    params = {arm: usual | {"method.kind": arm} | own for arm, own in chosen.items()}
    records = [make_record(arm, 1, params=params[arm]) for arm in chosen]
    planned = tuple(
        PlannedCell(
            *("s", "toy", "tiny", arm, "c0ffee"),
            seeds=((1, 1, 2022),),
            space=frozenset(spaces.get(arm, set())),
        )
        for arm in chosen
    )
    evidence = Evidence(("s",), tuple(records), metric="macro_f1", planned=planned)
    return report_on(evidence, Question()).comparison.flags


@pytest.mark.parametrize(
    "name", ["epochs", "batch_size", "gradient_accumulation", "max_length", "keep"]
)
def test_what_one_arm_may_train_more_by_is_said_first(name: str) -> None:
    """A field of how much is trained or seen that some arms search and others do not."""
    field = f"train.{name}"
    chosen = {"full": {field: "2"}, "head": {field: "3"}, "lora": {field: "1"}}
    assert searched(chosen, {"full": {field, "train.learning_rate"}}) == (
        f"{field} is searched in full (chosen: 2) and fixed in head (3), lora (1)",
    )


def test_a_field_that_every_arm_searches_is_fair() -> None:
    """So is one of the optimiser in some arms: a method may need its own."""
    chosen = {"full": {"train.epochs": "2"}, "lora": {"train.epochs": "1"}}
    both = {"train.epochs", "train.batch_size"}
    assert searched(chosen, {"full": both, "lora": both}) == ()
    rates = {"full": {"train.learning_rate": "2e-5"}, "lora": {}}
    assert searched(rates, {"full": {"train.learning_rate", "train.warmup"}}) == ()
