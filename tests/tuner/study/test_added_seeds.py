"""`tuner run-study --seeds +N`, and the studies that have had it, on real runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.commands import refused
from tests.journals import records
from tests.specs import toy_study, toy_tree
from tuner.config import load_study
from tuner.report import build_report, find_study, standing_of
from tuner.store import Store, open_journal_reader
from tuner.study import recall_study
from tuner.study.run import run_study


def _confirmed(store: Path) -> dict[str, list[int]]:
    """Return the seeds of the finished confirm runs, by arm."""
    found: dict[str, list[int]] = {}
    for run in records(store, "toy-study"):
        if run.group.phase == "confirm" and run.state == "finished":
            found.setdefault(run.group.arm, []).append(run.seeds.init)
    return {arm: sorted(seeds) for arm, seeds in found.items()}


def _chosen(store: Path) -> set[int | None]:
    runs = records(store, "toy-study")
    return {r.group.trial for r in runs if r.group.phase == "confirm" and r.group.arm == "full"}


def test_seeds_are_added_to_a_study_that_has_ended_and_kept(tmp_path: Path) -> None:
    """By the command; then the file alone, the name and the report have them too."""
    store, path = tmp_path / "mlruns", tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(toy_tree()))
    run_study(load_study(path), store=store, data_dir=store / "data", tracking="none")
    chosen = _chosen(store)
    options = ("--tracking", "none", "--data-dir", ".")
    first = refused("run-study", "study.yaml", "--seeds", "+1", *options, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "confirm.seeds: 2 as written, and 1 that --seeds added: 3" in first.stdout
    assert _confirmed(store) == {"full": [1, 2, 3], "head": [1, 2, 3]}
    again = refused("run-study", "study.yaml", *options, cwd=tmp_path)
    assert "confirm.seeds: 2 as written, and 1 that --seeds added: 3" in again.stdout
    second = refused("run-study", "toy-study", "--seeds", "+2", *options, cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert _confirmed(store) == {"full": [1, 2, 3, 4, 5], "head": [1, 2, 3, 4, 5]}
    assert _chosen(store) == chosen
    searched = [run for run in records(store, "toy-study") if run.group.phase == "search"]
    assert len(searched) == 2
    for named in (path, "toy-study"):
        report = build_report(named, store=store)
        assert set(report.cells["n"]) == {5}
        assert any("of its 5 confirm seeds 3 were added" in note for note in report.notes())
    assert recall_study("toy-study", Store(store), data_dir=tmp_path).confirm.added == 3


def test_a_study_that_was_edited_is_a_definition_of_its_own(tmp_path: Path) -> None:
    """With other seeds in its file, and its runs are found as before."""
    store = tmp_path / "store"
    run_study(toy_study(), store=store, data_dir=store / "data", tracking="none")
    edited = toy_study(confirm={"seeds": [1, 2, 9]})
    run_study(edited, store=store, data_dir=store / "data", tracking="none")
    assert _confirmed(store) == {"full": [1, 2, 9], "head": [1, 2, 9]}


@pytest.mark.parametrize("text", ["+0", "-1", "4", "+x", "", "+1000", "++2"])
def test_a_number_that_is_no_plus_with_a_number_is_refused(tmp_path: Path, text: str) -> None:
    """One line: what, got, allowed; nothing is written."""
    done = refused("run-study", "quickstart", "--seeds", text, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"tuner: --seeds: got {text!r}; allowed: a plus and a whole number from 1 to 999, such "
        "as +4\n"
    )
    assert not (tmp_path / "mlruns").exists()


def test_a_study_that_was_never_run_or_has_not_ended_is_refused(tmp_path: Path) -> None:
    """One line, with the command that runs it; nothing is written."""
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(toy_tree()))
    words = ("run-study", "study.yaml", "--seeds", "+2")
    line = "tuner: --seeds +2: study 'toy-study' was never run in mlruns; allowed: a study that"
    never = refused(*words, cwd=tmp_path)
    assert never.stderr.startswith(line)
    assert never.stderr.count("\n") == 1
    assert not (tmp_path / "mlruns").exists()
    store = tmp_path / "mlruns"
    late = toy_study().model_copy(update={"timeout_seconds": 0.0})
    run_study(late, store=store, data_dir=store / "data", tracking="none")
    unended = refused(*words, cwd=tmp_path)
    assert unended.stderr == (
        "tuner: --seeds +2: study 'toy-study' has not ended: 0 of 6 runs are done; allowed: a "
        "study that has ended; `tuner run-study study.yaml` runs it to its end\n"
    )
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(toy_tree(name="other")))
    other = refused("run-study", "other.yaml", "--seeds", "+2", cwd=tmp_path)
    assert "study 'other' was never run in mlruns" in other.stderr


def test_a_study_counts_its_runs_and_names_its_best_arm(tmp_path: Path) -> None:
    """Of a study that the time stopped, and of one that has ended."""
    store = tmp_path / "store"
    late = toy_study().model_copy(update={"timeout_seconds": 0.0})
    run_study(late, store=store, data_dir=store / "data", tracking="none")
    reader = open_journal_reader(Store(store))
    stopped = standing_of(find_study("toy-study", reader, store=store), reader)
    assert (stopped.state, stopped.done, stopped.planned) == ("stopped", 0, 6)
    assert stopped.best == ()
    run_study(toy_study(), store=store, data_dir=store / "data", tracking="none")
    reader = open_journal_reader(Store(store))
    ended = standing_of(find_study("toy-study", reader, store=store), reader)
    assert (ended.state, ended.done, ended.planned) == ("ended", 6, 6)
    cells = build_report("toy-study", store=store).cells
    rows = cells[cells["metric"] == "macro_f1"].set_index("arm")["mean"]
    (best,) = ended.best
    assert (best.arm, best.split) == (rows.idxmax(), "test")
    assert best.score == pytest.approx(rows.max())
