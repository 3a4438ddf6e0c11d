"""Finalists: the best trials of a search meet on fresh seeds, and the mean of all decides."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from tests.journals import records
from tests.specs import toy_study, toy_tree
from trainers.contract import Seeds
from trainers.errors import TunerError
from tuner.config import Objective, StudyConfig, parse_study, rank_trials
from tuner.report import build_report, find_study, gather
from tuner.report.selection import ComparedCell
from tuner.store import Store
from tuner.study import RunNotice, run_study
from tuner.tracking import open_reader

SCORE = "validation/macro_f1"
ACCURACY = (Objective(metric="accuracy"),)
LOSS = (Objective(metric="loss"),)


def searched(**search: Any) -> StudyConfig:
    """Return a study of one searched arm: three trials, two finalists on two seeds."""
    arms = {"full": toy_tree()["arms"]["full"]}
    wanted = {"trials": 3, "pruner": "none", "finalists": {"count": 2, "seeds": [8, 9]}} | search
    return toy_study(arms=arms, search=wanted, confirm={"seeds": [1]})


def run(config: StudyConfig, root: Path, **options: Any) -> None:
    """Run a study, or continue it."""
    run_study(config, store=root, tracking="none", **options)


def phases(root: Path) -> Counter[str]:
    """Count the finished runs by phase."""
    return Counter(r.group.phase for r in records(root) if r.state == "finished")


def reported(root: Path) -> ComparedCell:
    """Return the cell as the report reads it."""
    reader = open_reader(root)
    evidence = gather(reader, [find_study("toy-study", reader, store=Store(root))])
    ((cell,),) = (block.cells for block in evidence.select().blocks)
    return cell


def test_the_mean_of_all_seeds_decides_between_the_best_trials(empty_store: Path) -> None:
    """Two of three trials meet again; no run but the confirm run reads the test split."""
    run(searched(), empty_store)
    assert phases(empty_store) == {"search": 3, "finalists": 4, "confirm": 1}
    scores: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records(empty_store):
        assert any(n.startswith("test/") for n in record.metrics) == (
            record.group.phase == "confirm"
        )
        scores[record.group.phase][record.group.trial or 0].append(record.metrics[SCORE])
    found = {trial: values[0] for trial, values in scores["search"].items()}
    best_two = sorted(found, key=lambda trial: -found[trial])[:2]
    assert set(scores["finalists"]) == set(best_two)
    means = {trial: fmean([found[trial], *scores["finalists"][trial]]) for trial in best_two}
    assert list(scores["confirm"]) == [max(means, key=lambda trial: means[trial])]
    seeds = {r.seeds.init for r in records(empty_store) if r.group.phase == "finalists"}
    assert seeds == {8, 9}


def test_the_report_chooses_as_the_study_did(empty_store: Path) -> None:
    """Its table has the confirm run, and leaves out none."""
    run(searched(), empty_store)
    chosen = {r.group.trial for r in records(empty_store) if r.group.phase == "confirm"}
    assert {reported(empty_store).search.chosen} == chosen
    notes = build_report("toy-study", store=empty_store).notes()
    assert not any("Left out" in note for note in notes)


def test_the_report_says_what_the_search_spent_and_how_much_of_its_score_was_luck(
    empty_store: Path,
) -> None:
    """Against the records: trials, epochs, and one configuration's scores in three phases."""
    run(searched(), empty_store)
    frame = build_report("toy-study", store=empty_store).comparison.frames["search"]
    (row,) = frame.to_dict("records")
    scores: dict[str, list[float]] = defaultdict(list)
    (chosen,) = {r.group.trial for r in records(empty_store) if r.group.phase == "confirm"}
    for record in records(empty_store):
        if record.group.trial == chosen:
            scores[record.group.phase].append(record.metrics[SCORE])
    expected = [fmean(scores[phase]) for phase in ("search", "finalists", "confirm")]
    names = ("search_score", "finalists_score", "confirm_score")
    assert [row[name] for name in names] == pytest.approx(expected)
    assert row["optimism"] == pytest.approx(expected[0] - expected[2])
    epochs = searched().train.epochs
    assert (row["trials"], row["finished"], row["epochs"]) == (3, 3, 3 * epochs)
    assert (row["finalist_runs"], row["finalist_epochs"]) == (4, 4 * epochs)
    assert row["dimensions"] == 1


def test_other_finalists_continue_the_search(empty_store: Path) -> None:
    """Its trials are not done again, nor are the runs that both have."""
    run(searched(), empty_store)
    before = {r.run_id for r in records(empty_store)}
    run(searched(finalists={"count": 2, "seeds": [8, 9, 10]}), empty_store)
    added = [r for r in records(empty_store) if r.run_id not in before]
    counts = Counter(r.group.phase for r in added)
    assert counts["search"] == 0
    assert counts["finalists"] == 2
    cell = reported(empty_store)
    assert len(cell.search.finalist_runs) == 6
    assert len(cell.finished) == 1


def test_a_study_that_is_stopped_between_finalists_ends_as_if_it_had_not_been(
    tmp_path: Path,
) -> None:
    """Stopped at the second finalist's run; meanwhile the report says what is awaited."""
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    seen: list[RunNotice] = []

    def stop(notice: RunNotice) -> None:
        seen.append(notice)
        begun = [n for n in seen if n.phase == "finalists" and n.event is None]
        if len({(n.trial, n.seed) for n in begun}) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(searched(), stopped, watch=stop)
    assert phases(stopped)["confirm"] == 0
    cell = reported(stopped)
    assert cell.search.awaited == 3
    assert "3 runs of finalists not done" in cell.reason
    run(searched(), stopped)
    run(searched(), whole)

    def scores(root: Path) -> set[tuple[str, int | None, int, float]]:
        return {
            (r.group.phase, r.group.trial, r.seeds.init, r.metrics[SCORE])
            for r in records(root)
            if r.state == "finished"
        }

    assert scores(stopped) == scores(whole)


def test_without_finalists_or_with_one_trial_the_best_is_confirmed_at_once(
    tmp_path: Path,
) -> None:
    """`none`, and a single trial, which leaves nothing to choose."""
    run(searched(finalists="none"), tmp_path / "none")
    assert phases(tmp_path / "none") == {"search": 3, "confirm": 1}
    run(searched(trials=1), tmp_path / "one")
    assert phases(tmp_path / "one") == {"search": 1, "confirm": 1}


@pytest.mark.parametrize(
    ("values", "fresh", "order"),
    [
        ({0: [0.8], 1: [0.9]}, {}, [1, 0]),
        ({0: [0.9], 1: [0.8]}, {0: [0.1, 0.1], 1: [0.7, 0.7]}, [1, 0]),
        ({0: [0.9], 1: [0.8]}, {0: [0.9], 1: [0.1, 0.1]}, [1, 0]),
        ({0: [0.5], 1: [0.5]}, {}, [0, 1]),
    ],
)
def test_trials_are_ranked_by_the_mean_of_all_their_seeds(
    values: dict[int, list[float]], fresh: dict[int, list[float]], order: list[int]
) -> None:
    """Search alone; fresh seeds outweigh luck; a run that is missing counts first; ties."""
    rows = {n: [{"validation/accuracy": v} for v in runs] for n, runs in fresh.items()}
    assert rank_trials(values, ACCURACY, rows, seeds=(1, 2 if fresh else 0)) == order
    losses = {n: [-v for v in runs] for n, runs in values.items()}
    rows = {n: [{"validation/loss": -v} for v in runs] for n, runs in fresh.items()}
    assert rank_trials(losses, LOSS, rows, seeds=(1, 2 if fresh else 0)) == order


def test_of_equal_means_fewer_runs_that_name_one_class_are_better() -> None:
    """The same accuracy, once with one class named alone."""
    both = {"validation/f1/a": 0.5, "validation/f1/b": 0.5, "validation/accuracy": 0.5}
    one = {"validation/f1/a": 0.67, "validation/f1/b": 0.0, "validation/accuracy": 0.5}
    values = {0: [0.5], 1: [0.5]}
    assert rank_trials(values, ACCURACY, {0: [one], 1: [both]}, seeds=(1, 1)) == [1, 0]


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"finalists": 3}, "expected none, or a mapping"),
        ({"finalists": None}, "expected none, or a mapping .*, got null"),
        ({"finalists": {"count": 1}}, "finalists.count: got 1; allowed: 2 and more"),
        ({"finalists": {"count": -1}}, "finalists.count: "),
        ({"finalists": {"seeds": []}}, "finalists.seeds: at least one seed"),
        ({"finalists": {"seeds": [8, 8]}}, "finalists.seeds: seeds must differ"),
        ({"finalists": {"seeds": [7, 8]}}, "finalists.seeds: search uses .7. too"),
        ({"finalists": {"seeds": [1]}}, "finalists.seeds: confirm uses .1. too"),
        ({"finalists": {"number": 3}}, "finalists.number: "),
    ],
)
def test_wrong_finalists_are_refused_in_one_line(search: dict[str, Any], said: str) -> None:
    """Each names its key."""
    with pytest.raises(TunerError, match=said) as raised:
        parse_study(toy_tree(search={"trials": 3, "pruner": "none"} | search))
    assert len(str(raised.value).splitlines()) == 1


def test_the_default_seeds_are_those_that_nothing_else_uses() -> None:
    """From 8 on, on the search's rows; three finalists unless a study says otherwise."""
    tree = toy_tree()
    del tree["search"]
    assert parse_study(tree).search.finalists.count == 3
    assert [seeds.init for seeds in parse_study(tree).finalist_seeds()] == [8, 9, 10]
    chosen = {"init": 7, "order": 7, "data": 5}
    search = {"trials": 3, "pruner": "none", "seeds": [chosen], "finalists": {}}
    config = toy_study(search=search, confirm={"seeds": [1, 9]})
    assert config.finalist_seeds() == tuple(Seeds(init=n, order=n, data=5) for n in (8, 10, 11))
