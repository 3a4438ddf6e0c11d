"""The table of pairs: which seeds are paired, and what may be concluded."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tuner.report.records import (
    confusion_of,
    make_metrics,
    make_record,
    make_runs,
    report_of,
)
from tuner.report import Basis, Evidence, Question, all_tables, report_on
from tuner.store import RunRecord

SCORES = st.lists(st.integers(0, 1000).map(lambda n: n / 1000), min_size=6, max_size=6)


def test_the_exact_p_is_that_of_all_sign_flips_and_stands_from_six_pairs_on() -> None:
    """Against a full enumeration of the test at its most extreme data."""
    for count in (5, 6):
        differences = np.arange(1.0, count + 1)
        flips = np.array(list(itertools.product((-1, 1), repeat=count)))
        sums = np.abs(flips @ differences)
        p = float((sums >= abs(differences.sum())).mean())
        both = {"a": [0.5 + n / 100 for n in range(count)]}
        both["b"] = [0.5 + 2 * n / 100 for n in range(count)]
        found = report_of(make_runs(both)).pairs["p"][0]
        assert pd.isna(found) if count < 6 else found == pytest.approx(2 * p)


def test_a_verdict_says_what_its_interval_says_and_few_seeds_are_no_excuse() -> None:
    """Five seeds far apart decide; the answer gives difference, interval and scope."""
    both = {"a": [0.9, 0.91, 0.92, 0.93, 0.94], "b": [0.61, 0.60, 0.63, 0.62, 0.65]}
    made = report_of(make_runs(both))
    row = made.pairs[made.pairs["metric"] == "macro_f1"].iloc[0]
    assert row["verdict"] == "better by more than the margin"
    assert row["ci_low"] > row["margin"] == 0.01
    (sentence,) = made.answer.sentences
    shown = "-14.90 points [-15.58, -14.22]"
    assert sentence == f"b is worse than a by more than 1 point ({shown})."
    assert "of these configurations, on this test split" in made.answer.certainty
    assert made.answer.settle == ""


def test_arms_that_agree_within_the_margin_are_equivalent_and_the_margin_is_the_studys() -> None:
    """A tenth of a point apart on ten seeds: equivalent within 1 point, open within a tenth."""
    both = {
        "a": [0.8 + n / 100 for n in range(10)],
        "b": [0.801 + n / 100 + (-1) ** n / 200 for n in range(10)],
    }
    made = report_of(make_runs(both), metric="accuracy")
    assert made.pairs["verdict"][0] == "equivalent within the margin"
    assert made.answer.sentences[0].startswith("a is equivalent to b within 1 point (")
    assert "with 10 seeds collapses in up to 26% of runs could go unseen." in made.answer.certainty
    strict = report_of(make_runs(both), metric="accuracy", margin=0.001)
    assert strict.pairs["verdict"][0] == "open"
    assert "unseen" not in strict.answer.certainty


def test_rounding_is_no_difference_and_gives_no_verdict() -> None:
    """Scores that are equal but for the last bit tie on every seed."""
    made = report_of(make_runs({"a": [0.1 + 0.7, 0.1 + 0.7], "b": [0.8, 0.8]}), metric="accuracy")
    row = made.pairs.iloc[0]
    assert (row["ahead"], row["behind"], row["mean_difference"]) == (0, 0, 0)
    assert row["verdict"] == "equivalent within the margin"


def test_a_level_is_shared_by_the_pairs_that_are_asked_and_the_rest_share_one_with_all() -> None:
    """Three pairs of three arms; with a baseline two are asked."""
    levels = {"a": 0.9, "b": 0.6, "c": 0.5}
    three = {arm: [level + n / 100 for n in range(6)] for arm, level in levels.items()}
    every = report_of(make_runs(three)).pairs
    assert set(every["level"]) == {0.05 / 3}
    assert every["asked"].all()
    against = report_of(make_runs(three), baseline="b").pairs
    of_metric = against[against["metric"] == "macro_f1"]
    assert list(of_metric["asked"]) == [True, True, False]
    assert list(of_metric["arm_b"]) == ["b", "b", "c"]
    assert list(of_metric["level"]) == [0.05 / 2, 0.05 / 2, 0.05 / 3]


def test_a_baseline_that_is_asked_for_afterwards_is_said_to_be() -> None:
    """The study's own is not remarked upon."""
    records = make_runs({"full": [0.8, 0.81], "lora": [0.7, 0.72]})
    evidence = Evidence(("s",), tuple(records), "macro_f1", baseline="full")
    assert report_on(evidence).comparison.baseline == "full"
    assert not any("asked for after" in note for note in report_on(evidence).notes())
    afterwards = report_on(evidence, Question(baseline="lora"))
    assert afterwards.comparison.baseline == "lora"
    assert any("lora was asked for after the results" in note for note in afterwards.notes())


def test_pairs_are_formed_from_common_seeds_and_the_rest_is_named() -> None:
    """A seed that one arm lacks is left out of that pair alone."""
    counts = {"a": 3, "b": 3, "c": 2}
    records = [make_record(arm, seed) for arm, n in counts.items() for seed in range(n)]
    made = report_of(records)
    pairs = made.pairs[made.pairs["metric"] == "macro_f1"].set_index(["arm_a", "arm_b"])
    assert list(pairs["n"]) == [3, 2, 2]
    assert pairs.loc[("a", "c"), "unpaired_a"] == "2/2/2022"
    lacks = "c lacks 1 seed that other arms have (2/2/2022; init/order/data). "
    assert f"{lacks}Differences use the seeds that both arms have." in made.notes()


def test_seeds_to_settle_are_a_range_and_it_is_said_how_to_add_them() -> None:
    """From five seeds on; below, the fewest that can tell are asked for."""
    values = [0.80, 0.83, 0.78, 0.82, 0.79, 0.84]
    both = {"full": values, "lora": [v - 0.004 + (-1) ** n * 0.03 for n, v in enumerate(values)]}
    made = report_of(make_runs(both), baseline="full")
    row = made.pairs[made.pairs["metric"] == "macro_f1"].iloc[0]
    assert row["verdict"] == "open"
    assert row["seeds_low"] > 6
    assert made.answer.settle.startswith(f"{row['seeds_low']} to ")
    more, line = row["seeds_low"] - 6, "tuner run-study s --seeds +"
    assert made.answer.settle.endswith(f"add {more} or more, with {line}{more}.")
    assert made.answer.seeds == more
    few = report_of(make_runs({arm: scores[:3] for arm, scores in both.items()}))
    assert few.answer.settle.endswith(f"5 are the fewest that can: add 2 or more, with {line}2.")


def test_the_error_over_test_rows_widens_the_interval() -> None:
    """It is computed where both arms' predictions are of the same rows."""
    records = make_runs({"full": [0.8, 0.81, 0.82], "lora": [0.7, 0.72, 0.71]})
    right = confusion_of(np.array([[80, 20], [20, 80]]))
    wrong = confusion_of(np.array([[70, 30], [30, 70]]))
    tables = {run.run_id: right if run.group.arm == "full" else wrong for run in records}
    without = Evidence(("s",), tuple(records), "accuracy")
    plain = report_on(without)
    made = report_on(replace(without, confusions=tables))
    first, second = plain.pairs.iloc[0], made.pairs.iloc[0]
    assert pd.isna(first["row_error"])
    # 20 of 200 rows are right in one arm alone: a share of .1 has the variance .1 - .1^2.
    assert second["row_error"] == pytest.approx(math.sqrt((0.1 - 0.01) / 200))
    assert second["ci_low"] < first["ci_low"]
    assert "over seeds and test rows" in made.answer.certainty
    assert "over seeds alone, since predictions of test rows are missing" in plain.answer.certainty
    other = replace(wrong, truth=wrong.truth[::-1])
    mixed = {**tables, records[-1].run_id: other}
    assert report_on(replace(without, confusions=mixed)).pairs["row_error"].isna().all()


@pytest.mark.parametrize("second", [{"state": "failed", "metrics": {}}, {}])
def test_every_form_is_made_where_no_seed_is_shared(second: dict[str, object]) -> None:
    """An arm of failed runs, or of other seeds."""
    records = [make_record("a", 1), make_record("b", 2, **second)]
    assert set(report_of(records).files()) >= {"report.html", "report.tex", "report.json"}


def test_arms_without_a_shared_seed_are_said_to_have_nothing_to_pair() -> None:
    """No p is made up for them."""
    made = report_of([make_record("a", 1), make_record("b", 2)])
    assert made.answer.sentences == ("a and b share no seed.",)
    assert made.pairs["p"].isna().all()
    assert set(made.pairs["verdict"]) == {"open"}


@settings(max_examples=30, deadline=None)
@given(a=SCORES, b=SCORES, seed=st.integers(0, 100))
def test_swapping_arms_mirrors_and_order_and_shift_change_nothing(
    a: list[float], b: list[float], seed: int
) -> None:
    """The difference turns round, p stays."""
    records = made_runs(a, b)
    first = pair(records)
    second = pair(made_runs(b, a))
    shifted = pair(made_runs([v + 0.1 for v in a], [v + 0.1 for v in b]))
    assert first.equals(pair(random.Random(seed).sample(records, len(records))))
    assert first["mean_difference"] == pytest.approx(-second["mean_difference"])
    assert first["ci_low"] == pytest.approx(-second["ci_high"], nan_ok=True)
    assert first["p"] == second["p"] == shifted["p"]
    assert first["probability_a_better"] == pytest.approx(1 - second["probability_a_better"])


def made_runs(a: Sequence[float], b: Sequence[float]) -> list[RunRecord]:
    """Return runs of arms x and y, none of which is taken to have collapsed."""
    runs = make_runs({"x": a, "y": b})
    for run in runs:
        del run.metrics["test/majority_accuracy"]
    return runs


def pair(records: Sequence[RunRecord]) -> pd.Series:
    """Return the row of the only pair in macro-F1."""
    evidence = Evidence(("s",), tuple(records), "macro_f1")
    basis = Basis(evidence.select().blocks, evidence, Question(), {})
    (pairs,) = (table for table in all_tables() if table.kind == "pairs")
    return pairs.frame(basis).iloc[0]


def test_of_a_loss_the_lower_one_is_better() -> None:
    """In the verdict and in the probability; the difference keeps its sign."""
    records = [
        make_record(arm, seed, metrics=make_metrics(0.7) | {"test/loss": loss + seed / 100})
        for arm, loss in (("high", 0.9), ("low", 0.2))
        for seed in range(6)
    ]
    row = report_of(records, metric="loss").pairs.iloc[0]
    assert row["metric"] == "loss"
    assert row["mean_difference"] == pytest.approx(0.7)
    assert row["verdict"] == "worse"
    assert row["margin"] == 0
    assert row["probability_a_better"] == 0


def test_runs_that_share_a_seed_are_one_pair() -> None:
    """Eight runs of two init, two order and two data seeds, crossed, decide nothing."""
    records = [
        make_record(arm, init, order=order, data=data, metrics=make_metrics(score + init / 100))
        for arm, score in (("a", 0.9), ("b", 0.5))
        for init, order, data in itertools.product((1, 2), repeat=3)
    ]
    crossed = report_of(records)
    (row,) = crossed.pairs[crossed.pairs["metric"] == "macro_f1"].to_dict("records")
    assert (row["n"], row["verdict"]) == (1, "open")
    assert row["mean_difference"] == pytest.approx(0.2)
    assert len(row["run_ids_a"].split()) == 8
    assert pd.isna(row["seeds_low"])
    (note,) = [note for note in crossed.notes() if "not independent" in note]
    assert note.startswith("a, b: the 8 runs share init, order or data seeds")
    assert "b and a share one seed, which shows no spread" in crossed.answer.sentences[0]


def test_runs_of_an_init_seed_are_averaged_before_they_are_paired() -> None:
    """Six init seeds with two orders each are six pairs of means."""
    scores = {"a": [0.8, 0.7, 0.6, 0.8], "b": [0.5, 0.6, 0.5, 0.5]}
    records = [
        make_record(arm, init, order=10 * init + run, metrics=make_metrics(v + init / 50))
        for arm, values in scores.items()
        for init in range(6)
        for run, v in enumerate(values[2 * (init % 2) : 2 * (init % 2) + 2])
    ]
    made = report_of(records)
    row = made.pairs[made.pairs["metric"] == "accuracy"].iloc[0]
    means = np.array([(0.8 + 0.7 - 0.5 - 0.6) / 2, (0.6 + 0.8 - 0.5 - 0.5) / 2] * 3)
    assert (row["n"], row["p"]) == (6, 0.03125)
    assert row["mean_difference"] == pytest.approx(means.mean())
    assert row["std_difference"] == pytest.approx(means.std(ddof=1))
    assert any("6 independent runs" in note for note in made.notes())
