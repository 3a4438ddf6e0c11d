"""Search budgets, trade-offs, ranks, variance and references, against plain computations."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas
import pytest
from scipy import stats as scipy_stats

from tests.tuner.report.records import make_metrics, make_record, make_runs, make_trial, report_of
from trainers.errors import ConfigError
from tuner.config import find_reference
from tuner.report import read_references
from tuner.report.tables.budget import budget_notes, place_swaps

VALUES = {
    "full": [0.5, 0.55, 0.6, 0.58, 0.51, 0.52, 0.53, 0.54],
    "lora": [0.1, 0.9, 0.2, 0.3, 0.15, 0.25, 0.12, 0.22],
}


def test_the_expected_best_is_the_mean_over_all_subsets_of_trials() -> None:
    """Of finished trials; for the bound pruned ones too, and failed ones as the worst."""
    trials = [make_trial(a, n, v) for a, vs in VALUES.items() for n, v in enumerate(vs)]
    trials += [make_trial("full", 8, 0, state="failed", metrics={"seconds/train": 10.0})]
    trials += [make_trial("lora", 8, 0.05, state="pruned")]
    budget = report_of([*make_runs(VALUES), *trials]).comparison.frames["budget"]
    for arm, more in (("full", 0.5), ("lora", 0.05)):
        curve, finished = budget[budget["arm"] == arm], VALUES[arm]
        assert len(curve) == len(finished)
        for count in range(1, len(finished) + 1):
            row = curve[curve["trials"] == count].iloc[0]
            for name, values in (("expected", finished), ("bound", [*finished, more])):
                best = np.mean([max(chosen) for chosen in itertools.combinations(values, count)])
                assert row[name] == pytest.approx(best)
            assert row["seconds"] == pytest.approx(10 * count)


def test_trials_that_failed_are_counted_in_a_note() -> None:
    """They are not done again, so a study that goes on afterwards ends well without a word."""
    trials = [make_trial(a, n, v) for a, vs in VALUES.items() for n, v in enumerate(vs)]
    trials += [make_trial("full", 8, 0, state="failed", metrics={})]
    trials += [make_trial("lora", 8, 0, state="killed", metrics={})]
    notes = report_of([*make_runs(VALUES), *trials]).notes()
    failed = [note for note in notes if "failed" in note]
    assert failed == ["full: 1 of 9 search trials failed; the best of the others was chosen."]


def test_trials_that_all_failed_leave_no_choice() -> None:
    """One of one: there are no others."""
    trials = [make_trial("full", 0, 0, state="failed", metrics={})]
    trials += [make_trial("lora", n, 0, state=s) for n, s in enumerate(("failed", "diverged"))]
    notes = report_of([*make_runs(VALUES), *trials]).notes()
    assert [note for note in notes if "search trial" in note and "choose" in note] == [
        "full: 1 of 1 search trial failed; there is none to choose.",
        "lora: 1 of 2 search trials failed; there is none to choose.",
        "lora: 1 of 2 search trials diverged; there is none to choose.",
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
    """One trial: full leads; from three on, lora. Said once a pair, and of fewer trials not."""
    trials = [make_trial(a, n, v) for a, vs in VALUES.items() for n, v in enumerate(vs)]
    notes = report_of([*make_runs(VALUES), *trials]).notes()
    (note,) = [note for note in notes if "best validation macro-F1 is expected" in note]
    budget = report_of([*make_runs(VALUES), *trials]).comparison.frames["budget"]
    place = place_swaps(budget, metric="macro_f1")[0].at
    assert f"is expected from full after 1 trial, from lora after {place:.0f}. " in note
    assert f"Two arms change places: lora overtakes full at {place:.0f} trials." in note
    few = report_of([*make_runs(VALUES), *(t for t in trials if (t.group.trial or 0) < 7)])
    assert not any("is expected from" in note for note in few.notes())


def test_an_arm_that_is_overtaken_and_overtakes_again_changes_no_place() -> None:
    """In the end the one leads that led at first."""
    budget = pandas.DataFrame(
        {
            "task": "t",
            "model": "m",
            "arm": ["a"] * 8 + ["b"] * 8,
            "trials": [*range(1, 9)] * 2,
            "seconds": [10.0 * n for n in range(1, 9)] * 2,
            "expected": [0.5, 0.7, *[0.8] * 6, 0.4, 0.75, *[0.79] * 6],
        }
    )
    (note,) = budget_notes(budget, metric="macro_f1")
    assert len(place_swaps(budget, metric="macro_f1")) == 4
    assert "change places" not in note.text


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
    assert table["pareto_probability"].isna().all()  # two seeds
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


def test_several_tasks_have_two_sentences_and_each_difference() -> None:
    """On these tasks, and from five on, on tasks like them; costs as geometric means of ratios."""
    records = [
        make_record(
            arm,
            seed,
            task=f"task{n}",
            metrics=make_metrics(0.8 - lower - 0.002 * seed)
            | {"memory/train/peak_bytes": 1e9 * (1 if arm == "full" else 0.5 + 0.1 * n)},
        )
        for n in range(5)
        for arm, lower in (("full", 0.0), ("lora", 0.02 + 0.01 * n))
        for seed in range(4)
    ]
    made = report_of(records, baseline="full")
    rows = made.comparison.frames["over_tasks"].set_index("scope")
    gaps = np.array([-0.01 - 0.005 * n for n in range(5)])  # macro-F1 is half the accuracy
    like = scipy_stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
    assert rows.loc["tasks like them", "mean_difference"] == pytest.approx(gaps.mean())
    ends = rows.loc["tasks like them", ["ci_low", "ci_high"]].tolist()
    assert ends == pytest.approx([like.low, like.high])
    ratio = scipy_stats.gmean([0.5 + 0.1 * n for n in range(5)])
    assert rows.loc["these tasks", "memory_ratio"] == pytest.approx(ratio)
    these, others = made.answer.sentences
    assert these.startswith("On these 5 tasks lora is worse than full by more than 1 point")
    each = "task0 -1.00, task1 -1.50, task2 -2.00, task3 -2.50, task4 -3.00"
    assert rows.loc["these tasks", "each"] == each
    assert made.answer.of("task0", "tiny").startswith("lora is worse than full by more")
    assert made.answer.of("task0", "tiny") in made.text("html")
    assert made.answer.of("task0", "tiny") in made.text("md")
    assert others.startswith("On tasks like them lora is worse than full by more than 1 point (-2")
    few = report_of([r for r in records if r.group.task < "task4"], baseline="full")
    assert list(few.comparison.frames["over_tasks"]["scope"]) == ["these tasks"]
    matrix = few.views("text")[0]
    assert [head.text for head in matrix.headings] == ["arm", "task0", "task1", "task2", "task3"]
    assert [cell.text for cell in matrix.rows[1].cells[:2]] == ["lora", "-1.00 worse"]


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
