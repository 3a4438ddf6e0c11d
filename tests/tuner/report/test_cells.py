"""The table of cells: whose runs count, and what is computed of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tests.tuner.report.records import (
    confusion_of,
    make_metrics,
    make_record,
    make_runs,
    make_trial,
    report_of,
)
from tuner.report import Evidence, report_on

SCORES = {"full": [0.81, 0.84, 0.83, 0.7], "lora": [0.79, 0.8, 0.86, 0.81]}


def test_summaries_equal_numpys_and_scipys() -> None:
    """Mean, sample deviation, t interval, median, ends; memory's peaks, seconds' mean."""
    cells = report_of(make_runs(SCORES), metric="f1/neutral").cells.set_index(["arm", "metric"])
    for arm, scores in SCORES.items():
        for name, share in (("accuracy", 1), ("macro_f1", 2), ("f1/neutral", 4)):
            row, values = cells.loc[arm, name], np.array(scores) / share
            assert row["mean"] == pytest.approx(values.mean(), abs=1e-12)
            assert row["std"] == pytest.approx(values.std(ddof=1), abs=1e-12)
            assert row["median"] == pytest.approx(np.median(values), abs=1e-12)
            assert (row["min"], row["max"]) == (values.min(), values.max())
            error = scipy_stats.sem(values)
            low, high = scipy_stats.t.interval(0.95, 3, loc=values.mean(), scale=error)
            assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high), abs=1e-12)
        assert row["n"] == 4
        assert row["seconds"] == pytest.approx(np.mean(1 + 10 * np.array(scores)))
        assert row["peak_memory_bytes"] == int(max(scores) * 1e9)
        assert row["peak_memory_mean_bytes"] == pytest.approx(np.mean(scores) * 1e9)
        assert row["peak_with_eval_bytes"] == 2e9
        assert (row["adapter_parameters"], row["head_parameters"]) == (299_000, 1_000)


def test_runs_within_two_errors_of_the_majority_class_are_counted_as_collapsed() -> None:
    """The floor is .4 of 200 rows, its standard error .0346: .469 has collapsed, .47 has not."""
    made = report_of(make_runs({"full": [0.4, 0.35, 0.469, 0.47]}))
    assert set(made.cells["collapsed_runs"]) == {3}
    (finding,) = made.comparison.findings
    assert finding.startswith("3 of 4 runs of full collapsed: ")
    assert f"Read this first: {finding}" in made.doubts()


def test_predictions_of_one_class_are_a_collapse_and_a_class_never_named_is_said() -> None:
    """Whatever the accuracy: 199 of 200 rows are called `no`."""
    records = make_runs({"full": [0.8, 0.81], "lora": [0.8, 0.8]})
    tables = [np.array([[80, 20], [20, 80]])] * 3 + [np.array([[100, 0], [99, 1]])]
    tables[1] = np.array([[100, 0], [100, 0]])
    found = {run.run_id: confusion_of(t) for run, t in zip(records, tables, strict=True)}
    made = report_on(Evidence(("s",), tuple(records), "accuracy", confusions=found))
    assert made.comparison.findings == (
        "'yes' is never predicted by full in 1 of 2 runs.",
        "1 of 2 runs of full and 1 of 2 runs of lora collapsed: they learnt no more than to name "
        "one class.",
    )
    row = made.pairs[made.pairs["metric"] == "accuracy"].iloc[0]
    assert (row["n"], row["collapsed_a"], row["collapsed_b"]) == (1, 1, 1)
    assert "collapsed runs are left out of these differences" in made.answer.sentences[0]


def test_the_values_that_the_search_chose_stand_with_their_arm() -> None:
    """Searched fields alone, to two significant digits."""
    params = {"metric": "macro_f1", "method.kind": "lora", "read_test": "False"}
    rates = [0.00012345, 0.5]
    trials = [
        make_trial("lora", n, 0.5 + n, params=params | {"train.learning_rate": str(rate)})
        for n, rate in enumerate(rates)
    ]
    confirm = params | {"read_test": "True", "train.learning_rate": str(rates[0])}
    made = report_of([*trials, make_record("lora", 1, params=confirm)])
    assert set(made.cells["chosen"]) == {"train.learning_rate 0.00012"}


def test_only_the_latest_definition_of_a_cell_is_compared() -> None:
    """Runs of an older definition are left out, counted and noted."""
    old = [make_record("lora", seed, cell="01d", start=1.0) for seed in range(2)]
    new = [make_record("lora", seed, cell="new", start=2.0) for seed in range(3)]
    made = report_of([*new, *old])
    assert set(made.cells["n"]) == {3}
    assert set(made.cells["left_out_runs"]) == {2}
    assert any("2 confirm runs of another definition" in note for note in made.notes())


def test_failed_runs_are_counted_and_retried_ones_are_not() -> None:
    """A seed that failed and then finished is a finished run; a digest counts once."""
    failed = {"state": "failed", "reason": "exit code 1", "metrics": {}}
    records = [
        make_record("lora", 1, run_id="first", **failed),
        make_record("lora", 1, run_id="second"),
        make_record("lora", 1, run_id="third", start=500.0),
        make_record("lora", 2, run_id="fourth", **failed),
        make_record("lora", 3, state="killed", metrics={}),
    ]
    made = report_of(records)
    assert set(made.cells["n"]) == {1}
    assert set(made.cells["failed_runs"]) == {1}
    assert list(made.runs["run_id"]) == ["third", "fourth"]
    assert "lora: 1 run failed." in made.notes()


def test_two_studies_with_an_arm_of_one_name_are_told_apart() -> None:
    """Their arms carry the study's name, and form a pair."""
    records = [make_record("full", seed, study=study) for study in ("a", "b") for seed in (1, 2)]
    made = report_of([*records, make_record("lora", 1, study="b")])
    assert list(dict.fromkeys(made.cells["arm"])) == ["full [a]", "full [b]", "lora"]
    assert list(made.pairs["n"].unique()) == [2, 1]


def test_the_noise_of_the_test_rows_is_set_against_the_spread_over_seeds() -> None:
    """Binomial for accuracy where there are no predictions; else resampled from the confusions."""
    records = make_runs({"full": [0.8, 0.8, 0.81]})
    counts = np.array([[80, 20], [20, 80]])
    table = confusion_of(counts)
    evidence = Evidence(
        studies=("s",),
        records=tuple(records),
        metric="accuracy",
        confusions={record.run_id: table for record in records},
    )
    for made in (report_of(records, metric="accuracy"), report_on(evidence)):
        row = made.cells.set_index("metric").loc["accuracy"]
        assert row["test_noise_std"] == pytest.approx((0.8 * 0.2 / 200) ** 0.5, rel=0.15)
        assert any("choice of test rows matters more than the seed" in n for n in made.notes())
    wide = report_of(make_runs({"full": [0.6, 0.8, 0.9]}), metric="accuracy")
    assert not any("choice of test rows matters more" in note for note in wide.notes())


def test_unseen_rows_have_metrics_of_their_own() -> None:
    """Beside the whole, in cells and pairs, with a sentence that counts them."""
    facts = {"rows.test": "139", "rows.test_seen_in_train": "52"}
    records = [
        make_record(arm, seed, facts=facts, metrics=make_metrics(0.7) | unseen)
        for arm in ("full", "lora")
        for seed, unseen in enumerate([{"test/unseen/accuracy": 0.6}] * 2)
    ]
    made = report_of(records)
    assert "unseen/accuracy" in set(made.cells["metric"])
    assert "unseen/accuracy" in set(made.pairs["metric"])
    text = "52 of 139 test rows are in train too. Scores of unseen rows are those of the other 87."
    assert text in made.notes()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_one_that_is_missing(value: float) -> None:
    """Of a run that diverged; the others are compared, and its seed is named."""
    records = make_runs(SCORES)
    bad = records[0].model_copy(update={"metrics": records[0].metrics | {"test/macro_f1": value}})
    made = report_of([bad, *records[1:]])
    cells = made.cells.set_index(["arm", "metric"])
    assert cells.loc[("full", "macro_f1"), "n"] == 3
    assert cells.loc[("full", "accuracy"), "n"] == 4
    left = np.array(SCORES["full"][1:]) / 2
    assert cells.loc[("full", "macro_f1"), "mean"] == pytest.approx(left.mean())
    assert made.pairs[made.pairs["metric"] == "macro_f1"]["n"].item() == 3
    assert any("full lacks 1 seed that other arms have (0/0/2022;" in n for n in made.notes())
    assert "nan" not in made.text("md")
