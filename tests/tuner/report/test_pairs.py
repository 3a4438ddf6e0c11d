"""The table of pairs: which seeds are paired, and what may be concluded."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tuner.report.records import make_metrics, make_record, make_runs, report_of
from tuner.report import Basis, Evidence, Question, all_tables
from tuner.store import RunRecord

SCORES = st.lists(st.integers(0, 1000).map(lambda n: n / 1000), min_size=6, max_size=6)


def test_the_smallest_p_is_that_of_all_sign_flips() -> None:
    """2/2^n, against a full enumeration of the test at its most extreme data."""
    for count in (2, 5, 6):
        differences = np.arange(1.0, count + 1)
        flips = np.array(list(itertools.product((-1, 1), repeat=count)))
        sums = np.abs(flips @ differences)
        p = float((sums >= abs(differences.sum())).mean())
        both = {"a": [n / 100 for n in range(count)], "b": [2 * n / 100 for n in range(count)]}
        made = report_of(make_runs(both))
        assert made.pairs["least_p"][0] == pytest.approx(p)
        floors = [note for note in made.notes() if "cannot go below" in note]
        assert bool(floors) == (p > 0.05)


def test_five_seeds_are_never_called_a_win() -> None:
    """However far apart the arms are."""
    both = {"a": [0.9, 0.91, 0.92, 0.93, 0.94], "b": [0.1, 0.11, 0.12, 0.13, 0.14]}
    made = report_of(make_runs(both))
    assert set(made.pairs["verdict"]) == {"too few seeds"}
    assert made.pairs["p"][0] == 0.0625
    assert any("p = 2/2^5 = 0.0625" in note for note in made.notes())


def test_six_seeds_can_decide_one_pair_and_not_three() -> None:
    """2/2^6 is .031; Holm's correction over three pairs makes .094 of it."""
    apart = {"a": [0.9 + n / 100 for n in range(6)], "b": [0.1 + n / 90 for n in range(6)]}
    one = report_of(make_runs(apart))
    assert set(one.pairs["verdict"]) == {"a better"}
    assert any(note.startswith("a is better than b by") for note in one.notes())
    three = report_of(make_runs(apart | {"c": [0.5 + n / 80 for n in range(6)]}))
    assert set(three.pairs["verdict"]) == {"too few seeds"}
    against = report_of(make_runs(apart | {"c": [0.5] * 6}), baseline="b")
    assert len(against.pairs[against.pairs["metric"] == "macro_f1"]) == 2
    assert set(against.pairs["arm_b"]) == {"b"}


def test_pairs_are_formed_from_common_seeds_and_the_rest_is_named() -> None:
    """A seed that one arm lacks is left out of that pair alone."""
    counts = {"a": 3, "b": 3, "c": 2}
    records = [make_record(arm, seed) for arm, n in counts.items() for seed in range(n)]
    made = report_of(records)
    pairs = made.pairs[made.pairs["metric"] == "macro_f1"].set_index(["arm_a", "arm_b"])
    assert list(pairs["n"]) == [3, 2, 2]
    assert pairs.loc[("a", "c"), "unpaired_a"] == "2/2/2022"
    notes = made.notes()
    assert any("With 2 shared seeds" in n and "(a and c; b and c)" in n for n in notes)
    assert any("With 3 shared seeds" in n and "(a and b)" in n for n in notes)
    lacks = "c lacks 1 seed that other arms have (2/2/2022; init/order/data): "
    assert f"{lacks}pairs are formed from common seeds." in notes


def test_a_pair_that_was_decided_is_not_called_undecidable() -> None:
    """Ten seeds against six: Holm's later steps correct less than the first."""
    scores = {
        "full": [0.8 + n / 200 for n in range(10)],
        "bad": [0.3 + n / 190 for n in range(10)],
        "bad2": [0.2 + n / 180 for n in range(6)],
    }
    made = report_of(make_runs(scores), baseline="full")
    row = made.pairs[(made.pairs["arm_a"] == "bad2") & (made.pairs["metric"] == "macro_f1")].iloc[
        0
    ]
    assert (row["verdict"], row["further_seeds"]) == ("b better", 0)
    assert not any("not separable" in note for note in made.notes())


@pytest.mark.parametrize("second", [{"state": "failed", "metrics": {}}, {}])
def test_every_form_is_made_where_no_seed_is_shared(second: dict[str, object]) -> None:
    """An arm of failed runs, or of other seeds."""
    records = [make_record("a", 1), make_record("b", 2, **second)]
    assert set(report_of(records).files()) >= {"report.html", "report.tex", "report.json"}


def test_arms_without_a_shared_seed_are_said_to_have_nothing_to_pair() -> None:
    """No p is made up for them."""
    made = report_of([make_record("a", 1), make_record("b", 2)])
    assert "No seed is shared, so there is nothing to pair." in made.notes()
    assert made.pairs["p"].isna().all()
    assert set(made.pairs["verdict"]) == {"too few seeds"}


@settings(max_examples=30, deadline=None)
@given(a=SCORES, b=SCORES, seed=st.integers(0, 100))
def test_swapping_arms_mirrors_and_order_and_shift_change_nothing(
    a: list[float], b: list[float], seed: int
) -> None:
    """The difference turns round, p and d's size stay."""
    records = make_runs({"x": a, "y": b})
    first = pair(records)
    second = pair(make_runs({"x": b, "y": a}))
    shifted = pair(make_runs({"x": [v + 0.1 for v in a], "y": [v + 0.1 for v in b]}))
    assert first.equals(pair(random.Random(seed).sample(records, len(records))))
    assert first["mean_difference"] == pytest.approx(-second["mean_difference"])
    assert first["ci_low"] == pytest.approx(-second["ci_high"], nan_ok=True)
    assert first["p"] == second["p"] == shifted["p"]
    assert first["p_holm"] == shifted["p_holm"]
    assert first["probability_a_better"] == pytest.approx(1 - second["probability_a_better"])


def pair(records: Sequence[RunRecord]) -> pd.Series:
    """Return the row of the only pair in macro-F1."""
    evidence = Evidence(("s",), tuple(records), "macro_f1")
    basis = Basis(evidence.select().blocks, evidence, Question(), {})
    (pairs,) = (table for table in all_tables() if table.kind == "pairs")
    return pairs.frame(basis).iloc[0]


def test_of_a_loss_the_lower_one_is_better() -> None:
    """In the verdict and in the probability; the difference keeps its sign."""
    records = [
        make_record(arm, seed, metrics=make_metrics(0.5) | {"test/loss": loss + seed / 100})
        for arm, loss in (("high", 0.9), ("low", 0.2))
        for seed in range(6)
    ]
    row = report_of(records, metric="loss").pairs.iloc[0]
    assert row["metric"] == "loss"
    assert row["mean_difference"] == pytest.approx(0.7)
    assert row["verdict"] == "b better"
    assert row["probability_a_better"] == 0


def test_runs_that_share_a_seed_are_one_pair() -> None:
    """Eight runs of two init, two order and two data seeds, crossed, decide nothing."""
    records = [
        make_record(arm, init, order=order, data=data, metrics=make_metrics(score + init / 100))
        for arm, score in (("a", 0.9), ("b", 0.1))
        for init, order, data in itertools.product((1, 2), repeat=3)
    ]
    crossed = report_of(records)
    (row,) = crossed.pairs[crossed.pairs["metric"] == "macro_f1"].to_dict("records")
    assert (row["n"], row["p"], row["verdict"]) == (1, 1.0, "too few seeds")
    assert row["mean_difference"] == pytest.approx(0.4)
    assert len(row["run_ids_a"].split()) == 8
    assert pd.isna(row["further_seeds"])
    (note,) = [note for note in crossed.notes() if "not independent" in note]
    assert note.startswith("a, b: the 8 runs share init, order or data seeds")
    assert "| 1 | +40.00 | - | 1 | 1 | 1.00 | [.03, 1.00] | - | - | too few" in crossed.text("md")


def test_runs_of_an_init_seed_are_averaged_before_they_are_paired() -> None:
    """Six init seeds with two orders each are six pairs of means."""
    scores = {"a": [0.5, 0.7, 0.6, 0.8], "b": [0.4, 0.1, 0.3, 0.3]}
    records = [
        make_record(arm, init, order=10 * init + run, metrics=make_metrics(v + init / 50))
        for arm, values in scores.items()
        for init in range(6)
        for run, v in enumerate(values[2 * (init % 2) : 2 * (init % 2) + 2])
    ]
    made = report_of(records)
    row = made.pairs[made.pairs["metric"] == "accuracy"].iloc[0]
    means = np.array([(0.5 + 0.7 - 0.4 - 0.1) / 2, (0.6 + 0.8 - 0.3 - 0.3) / 2] * 3)
    assert (row["n"], row["p"]) == (6, 0.03125)
    assert row["mean_difference"] == pytest.approx(means.mean())
    assert row["std_difference"] == pytest.approx(means.std(ddof=1))
    assert any("leaves 6 independent runs" in note for note in made.notes())
