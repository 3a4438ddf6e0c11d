"""Search budgets, trade-offs, ranks, variance and references, against plain computations."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas
import pytest

from tests.tuner.report.records import make_metrics, make_record, make_runs, make_trial, report_of
from trainers.errors import ConfigError
from tuner.config import find_reference
from tuner.report import read_references
from tuner.report.tables.budget import budget_notes, place_swaps

VALUES = {"full": [0.5, 0.55, 0.6, 0.58], "lora": [0.1, 0.9, 0.2, 0.3]}


def test_the_expected_best_is_the_mean_over_all_subsets_of_trials() -> None:
    """Without replacement; a failed trial counts as the worst; seconds are n times the mean."""
    trials = [make_trial(a, n, v) for a, vs in VALUES.items() for n, v in enumerate(vs)]
    trials += [make_trial("full", 4, 0, state="failed", metrics={"seconds/train": 10.0})]
    budget = report_of([*make_runs(VALUES), *trials]).comparison.frames["budget"]
    for arm, values in (("full", [*VALUES["full"], 0.5]), ("lora", VALUES["lora"])):
        curve = budget[budget["arm"] == arm]
        for count in range(1, len(values) + 1):
            best = np.mean([max(chosen) for chosen in itertools.combinations(values, count)])
            row = curve[curve["trials"] == count].iloc[0]
            assert row["expected"] == pytest.approx(best)
            assert row["seconds"] == pytest.approx(10 * count)


def test_trials_that_failed_are_counted_in_a_note() -> None:
    """They are not done again, so a study that goes on afterwards ends well without a word."""
    trials = [make_trial(a, n, v) for a, vs in VALUES.items() for n, v in enumerate(vs)]
    trials += [make_trial("full", 4, 0, state="failed", metrics={})]
    trials += [make_trial("lora", 4, 0, state="killed", metrics={})]
    notes = report_of([*make_runs(VALUES), *trials]).notes()
    failed = [note for note in notes if "failed" in note]
    assert failed == ["full: 1 of 5 search trials failed; the choice was among the others."]


def test_trials_that_all_failed_leave_no_choice() -> None:
    """One of one: there are no others."""
    trials = [make_trial("full", 0, 0, state="failed", metrics={})]
    trials += [make_trial("lora", n, 0, state=s) for n, s in enumerate(("failed", "diverged"))]
    notes = report_of([*make_runs(VALUES), *trials]).notes()
    assert [note for note in notes if "search trial" in note and "choose" in note] == [
        "full: 1 of 1 search trial failed; none is left to choose.",
        "lora: 1 of 2 search trials failed; none is left to choose.",
        "lora: 1 of 2 search trials diverged; none is left to choose.",
    ]


def test_a_point_that_comes_again_counts_once_in_the_search_curve() -> None:
    """Nobody spent its seconds again; where one of its trials was pruned, another counts."""
    scores = {0: 0.4, 1: 0.6, 2: 0.4, 3: 0.6}
    trials = [make_trial("full", n, s, digest=f"point {n % 2}") for n, s in scores.items()]
    trials += [make_trial("full", 4, 0.1, digest="point 0", state="pruned")]
    budget = report_of([*make_runs(VALUES), *trials]).comparison.frames["budget"]
    assert budget["trials"].tolist() == [1, 2]
    assert budget["seconds"].tolist() == [10.0, 20.0]
    assert budget["expected"].tolist() == pytest.approx([0.5, 0.6])


def test_the_budget_at_which_arms_change_places_is_named() -> None:
    """One trial: full leads; from three on, lora."""
    trials = [make_trial(a, n, v) for a, vs in VALUES.items() for n, v in enumerate(vs)]
    notes = report_of([*make_runs(VALUES), *trials]).notes()
    (note,) = [note for note in notes if note.startswith("Expected best validation macro-F1")]
    assert "by number of trials: full leads after 1, lora from 3 on. " in note
    assert "lora overtakes full at 3 trials; lora overtakes full at 30 s of search." in note


def test_arms_that_overtake_each_other_at_once_do_not_change_places() -> None:
    """Within the second that is shown, one overtakes and is overtaken: a tie."""
    budget = pandas.DataFrame(
        {
            "task": "t",
            "model": "m",
            "arm": ["a"] * 3 + ["b"] * 3,
            "trials": [1, 2, 3] * 2,
            "seconds": [10.0, 10.2, 10.4, 10.1, 10.3, 10.5],
            "expected": [0.5, 0.7, 0.9, 0.6, 0.8, 0.95],
        }
    )
    (note,) = budget_notes(budget, metric="macro_f1")
    assert place_swaps(budget, metric="macro_f1")
    assert ". No arms change places." in note.text


def test_the_trade_off_says_who_is_dominated_and_what_is_saved() -> None:
    """Memory follows the score in these records, so that nobody dominates; then one does."""
    fair = report_of(make_runs({"full": [0.8, 0.9], "lora": [0.6, 0.7]}))
    assert list(fair.comparison.frames["tradeoff"]["pareto"]) == [True, True]
    rows = [
        make_record(arm, seed, metrics=make_metrics(score) | {"memory/train/peak_bytes": peak})
        for arm, score, peak in (("full", 0.5, 2e9), ("lora", 0.5, 1e9))
        for seed in (1, 2)
    ]
    table = report_of(rows).comparison.frames["tradeoff"].set_index("arm")
    assert list(table["pareto"]) == [False, True]
    assert list(table["pareto_probability"]) == [0.0, 1.0]
    assert table.loc["lora", "saved_peak"] == pytest.approx(0.5)
    assert table.loc["lora", "saved_with_eval"] == pytest.approx(0.0)
    against = report_of(rows, baseline="lora").comparison.frames["tradeoff"].set_index("arm")
    assert against.loc["full", "saved_peak"] == pytest.approx(-1.0)


def test_ranks_across_tasks_have_a_test_from_five_tasks_on() -> None:
    """Two tasks: mean ranks and a sentence. Five: Friedman and a critical difference."""
    records = [
        make_record(arm, 1, task=f"task{n}", metrics=make_metrics(score))
        for n in range(5)
        for arm, score in (("full", 0.9), ("lora", 0.8 + 0.05 * n), ("head", 0.1))
    ]
    few = report_of([record for record in records if record.group.task in ("task0", "task1")])
    assert any("need 5 tasks or more" in note for note in few.notes())
    assert few.comparison.frames["ranks"]["critical_difference"].isna().all()
    many = report_of(records)
    ranks = many.comparison.frames["ranks"].set_index("arm")
    assert ranks.loc["full", "mean_rank"] == pytest.approx((1 + 1 + 1.5 + 2 + 2) / 5)
    assert ranks.loc["head", "mean_rank"] == 3
    assert (
        pytest.approx(ranks.loc["head", "critical_difference"], abs=1e-3)
        == 2.343 * (3 * 4 / 30) ** 0.5
    )
    assert any("Friedman's test: p = " in note for note in many.notes())


def test_separate_seeds_share_the_variance_out() -> None:
    """A score that hangs on the init seed alone gives init everything."""
    records = [
        make_record("full", init, order=order, metrics=make_metrics(0.5 + init / 10))
        for init in (1, 2, 3)
        for order in (4, 5, 6)
    ]
    shares = report_of(records).comparison.frames["variance"].set_index("source")["share"]
    assert shares["init"] == pytest.approx(1)
    assert shares.sum() == pytest.approx(1)
    together = [make_record("full", seed) for seed in range(5)]
    assert not len(report_of(together).comparison.frames["variance"])


def test_published_numbers_stand_beside_ours(tmp_path: Path) -> None:
    """Joined by task, model, method and metric; the error is that of two independent means."""
    path = tmp_path / "published.csv"
    path.write_text(
        "source,task,model,method,seeds,metric,mean,std\n"
        "paper,toy,google/tiny,adapter,5,macro_f1,0.40,0.02\n"
        "paper,toy,other,adapter,5,macro_f1,0.40,0.02\n"
    )
    records = make_runs({"houlsby": [0.8, 0.84, 0.88]}, params={"method.kind": "bottleneck"})
    frame = report_of(records, published=read_references(path)).comparison.frames["references"]
    (row,) = frame.to_dict("records")
    assert row["difference"] == pytest.approx(0.42 - 0.40)
    assert row["standard_error"] == pytest.approx((0.02**2 / 5 + 0.02**2 / 3) ** 0.5)
    assert "Beside published numbers" in report_of(records, published=read_references(path)).text(
        "md"
    )


def test_published_numbers_of_other_cells_are_said_not_to_match() -> None:
    """Rather than left out in silence."""
    published = read_references(find_reference("published"))
    notes = report_of(make_runs({"full": [0.8, 0.9]}), published=published).notes()
    assert "No published number is of these tasks, models, methods and metrics." in notes


def test_the_shipped_references_are_readable() -> None:
    """By their name, every row."""
    assert len(read_references(find_reference("published"))) == 39


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("source,task\n", "no column 'model'; needed: "),
        ("source,task,model,method,seeds,metric,mean,std\na,b,c,d,0,f,1,1\n", "line 2, seeds"),
        ("source,task,model,method,seeds,metric,mean,std\na,b,c,d,5,f,x,1\n", "got 'x'"),
        (
            "source,task,model,method,seeds,metric,mean,std\na,b,c,d,1,macro_f1,57.2,1\n",
            "line 2, mean: got '57.2': a score is a fraction: write 0.572 for 57.2 points",
        ),
        ("source,task,model,method,seeds,metric,mean,std\na,b\n", "line 2, "),
        ("source,task,model,method,seeds,metric,mean,std\na,b,c,d,5,f,57,.1\n", "a fraction"),
        ("source,task,model,method,seeds,metric,mean,std\na,b,c,d,5,loss,9,-1\n", "std"),
    ],
)
def test_a_bad_file_of_references_is_refused_in_one_line(
    tmp_path: Path, text: str, words: str
) -> None:
    """With the file, the line and the column."""
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_references(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="No such file"):
        read_references(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match=r"no such name, got 'none'; known: published"):
        find_reference("none")
