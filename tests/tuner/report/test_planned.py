"""A cell's planned runs are those of its study; what is not run stands in the table."""

from __future__ import annotations

from typing import Any

import pytest

from tests.specs import toy_study
from tests.tuner.report.records import arm_rows, make_record, make_runs, make_trial
from tuner.config import Definition, dump_definition, plan, read_definition
from tuner.report import Evidence, PlannedCell, planned_cells, report_on

SEEDS = tuple((n, n, 2022) for n in range(5))


def cell(arm: str, *, task: str = "toy", **fields: Any) -> PlannedCell:
    """Return a planned cell of the records' study, by default of five seeds, not searched."""
    fields = {"seeds": SEEDS, "fingerprint": "c0ffee"} | fields
    return PlannedCell("s", task, "tiny", arm, **fields)


def test_what_a_study_plans_is_read_from_its_own_text() -> None:
    """As the tracker keeps it: cells, seeds, budget, the digests of the data."""
    data = {2022: {"train": "aa", "validation": "bb", "test": "cc"}}
    study = toy_study()
    cells = plan(study, {"toy": data})
    read = read_definition(dump_definition(cells))
    assert read is not None
    assert read.data == {"toy": data}
    full, head = planned_cells(read)
    assert planned_cells(Definition(study, {"toy": data})) == (full, head)
    assert (full.arm, full.trials, full.space) == ("full", 2, {"train.learning_rate"})
    assert (head.trials, head.seeds) == (0, ((1, 1, 2022), (2, 2, 2022)))
    assert full.fingerprint == cells[0].fingerprint()


def test_a_text_of_another_version_is_no_definition() -> None:
    """A setting that this version does not know makes the definition unknown, not a crash."""
    text = dump_definition(plan(toy_study()))
    assert read_definition(f"nonsense: 1\n{text}") is None


def test_unconfirmed_arms_and_missing_runs_stand_in_the_table() -> None:
    """One arm searched half-way, one not begun, one with two of five seeds, one complete."""
    records = [
        *make_runs({"full": [0.8] * 5, "lora": [0.7] * 2}),
        *(make_trial("head", number, 0.5) for number in range(3)),
    ]
    planned = (
        cell("full"),
        cell("lora"),
        cell("head", trials=4, objectives=toy_study().objectives()),
        cell("ia3"),
        cell("full", task="far"),
    )
    made = report_on(Evidence(("s",), tuple(records), "macro_f1", planned=planned))
    rows = {(row[0], row[1]): row[2:4] for row in arm_rows(made)}
    assert rows["toy", "full"][0] == "5"
    assert rows["toy", "lora"] == ["2 of 5", "35.00 ± 0.00"]
    assert rows["toy", "head"] == ["0 of 5", "not run"]
    assert rows["toy", "ia3"] == ["0 of 5", "not run"]
    assert rows["far", "full"] == ["0 of 5", "not run"]
    notes = made.notes()
    assert "toy · tiny: lora: 2 of 5 confirm runs have ended so far." in notes
    assert "toy · tiny: head: not run: 3 of 4 trials searched." in notes
    assert "toy · tiny: ia3: not run: no run of this definition is in the store." in notes
    assert not any(note.startswith("toy · tiny: full: not") for note in notes)


@pytest.mark.parametrize(
    ("state", "said"), [("killed", "was stopped"), ("running", "is running, or its process died")]
)
def test_runs_that_a_stopped_study_lacks_are_said_with_the_reason(state: str, said: str) -> None:
    """One arm has none, one some of its seeds; equal reasons are one line."""
    records = [
        *make_runs({"full": [0.8] * 5, "lora": [0.7] * 2}),
        make_record("lora", 2, state=state, reason="interrupted", start=900.0),
    ]
    planned = [cell(arm) for arm in ("full", "lora", "head", "ia3")]
    made = report_on(Evidence(("s",), tuple(records), "macro_f1", planned=tuple(planned)))
    assert f"head, ia3: not run: the study {said}." in made.notes()
    (some,) = (note for note in made.notes() if note.startswith("lora: 2 of 5 confirm runs"))
    assert said in some
    planned = [cell(arm, fingerprint="another") for arm in ("full", "head")]
    new = report_on(Evidence(("s",), tuple(records), "macro_f1", planned=tuple(planned)))
    assert "full, head: not run: no run of this definition is in the store." in new.notes()


def test_why_a_call_ended_early_is_kept_with_the_definition() -> None:
    """A later report gives it beside how far a search came; a cell's own fault says more."""
    cells = plan(toy_study())
    kept = read_definition(
        dump_definition(cells, {cells[1].label: "too large."}, ended="the time was up")
    )
    assert kept is not None
    planned = planned_cells(kept)
    made = report_on(Evidence(("toy-study",), (), "macro_f1", planned=planned))
    assert "full: not run: 0 of 2 trials searched; the time was up." in made.notes()
    assert "head: not run: too large." in made.notes()
    assert set(made.cells["reason"]) == {
        "0 of 2 trials searched; the time was up",
        "too large.",
    }


def test_arms_that_are_not_run_are_in_no_pair_and_make_nothing_unfair() -> None:
    """Every form shows them, with nothing made up for their numbers."""
    records = make_runs({"full": [0.8, 0.7], "lora": [0.7, 0.6]})
    planned = tuple(cell(arm, seeds=SEEDS[:2]) for arm in ("full", "lora", "head"))
    made = report_on(Evidence(("s",), tuple(records), "macro_f1", planned=planned))
    assert made.comparison.flags == ()
    assert set(made.pairs["arm_a"]) | set(made.pairs["arm_b"]) == {"full", "lora"}
    assert "| head | 0 of 2 | not run |" in made.text("md")
    assert "head & 0 of 2 & not run" in made.text("tex")
    assert "not run" in made.text("html")
    row = made.cells[made.cells["arm"] == "head"].iloc[0]
    assert (row["n"], row["planned_runs"]) == (0, 2)
    assert ",head,,macro_f1,0," in made.text("csv")


def test_arms_that_are_in_no_table_of_score_memory_and_time_are_named() -> None:
    """Those not run, those whose runs all failed, those of which no peak is known."""
    bare = {"test/accuracy": 0.5, "test/macro_f1": 0.5, "seconds/train": 1.0}
    records = [
        *make_runs({"full": [0.8, 0.7], "lora": [0.7, 0.6]}),
        *(make_record("ia3", seed, metrics=bare) for seed in (0, 1)),
        *(make_record("head", seed, state="failed", metrics={}) for seed in (0, 1)),
    ]
    arms = ("full", "lora", "ia3", "head", "prefix", "bitfit")
    planned = tuple(cell(arm, seeds=SEEDS[:2]) for arm in arms)
    made = report_on(Evidence(("s",), tuple(records), "macro_f1", planned=planned))
    line = (
        "Not in this table: bitfit, prefix (not run); head (without a finished run); "
        "ia3 (without a score or a peak of memory)."
    )
    assert f"toy · tiny: {line}" in made.text("md")
    assert line in made.text("html")
    whole = tuple(cell(arm, seeds=SEEDS[:2]) for arm in ("full", "lora"))
    made = report_on(Evidence(("s",), tuple(records), "macro_f1", planned=whole))
    assert "Not in this table" not in made.text("md") + made.text("html")


def test_columns_of_what_went_wrong_are_on_the_page_where_something_did() -> None:
    """Else they would push the table over the edge of a page."""
    planned = tuple(cell(arm, seeds=SEEDS[:2]) for arm in ("full", "head"))
    sound = make_runs({"full": [0.8, 0.7], "head": [0.6, 0.7]})
    failed = [*sound[:3], make_record("head", 1, state="failed", metrics={})]
    for records, there in ((sound, False), (failed, True)):
        made = report_on(Evidence(("s",), tuple(records), "macro_f1", planned=planned))
        assert (">failed</button>" in made.text("html")) is there
        assert ">collapsed</button>" not in made.text("html")


def test_a_study_of_which_nothing_is_run_has_rows_that_say_so() -> None:
    """In place of a table without rows."""
    made = report_on(Evidence(("s",), (), "macro_f1", planned=(cell("full"),)))
    assert arm_rows(made)[0][1:4] == ["full", "0 of 5", "not run"]


def test_what_is_left_out_is_one_line_with_the_reasons() -> None:
    """Earlier definitions, other seeds, arms that are gone; counted, with a way to see them."""
    records = [
        *make_runs({"full": [0.8] * 3, "gone": [0.7]}),
        make_record("full", 1, cell="beef", run_id="old"),
        make_trial("full", 0, 0.5, cell="beef"),
    ]
    planned = (cell("full", seeds=SEEDS[:2]),)
    made = report_on(Evidence(("s",), tuple(records), "macro_f1", planned=planned))
    (line,) = (note for note in made.notes() if note.startswith("Left out"))
    assert "1 confirm run and 1 search trial of another definition" in line
    assert "1 confirm run of seeds that the study does not have" in line
    assert "1 confirm run of tasks, models or arms that the study does not have (gone)" in line
    assert line.endswith("the tag tuner.cell tells definitions apart.")
    assert set(made.runs["run_id"]) == {run.run_id for run in records[:2]}


def test_trials_whose_runs_are_gone_count_and_their_confirm_runs_stay() -> None:
    """Without Optuna's file, a number that is missing tells of a trial that was deleted."""
    searched = cell("full", trials=3, objectives=toy_study().objectives(), seeds=SEEDS[:2])
    confirms = [
        run.model_copy(update={"group": run.group.model_copy(update={"trial": 1})})
        for run in make_runs({"full": [0.8, 0.7]})
    ]
    records = [*confirms, make_trial("full", 0, 0.5), make_trial("full", 2, 0.6)]
    made = report_on(Evidence(("s",), tuple(records), "macro_f1", planned=(searched,)))
    assert set(made.runs["run_id"]) == {run.run_id for run in confirms}
    assert set(made.cells["trials"]) == {3}
    assert any("the runs of 1 trial were deleted from the store" in note for note in made.notes())


def test_why_a_cell_was_not_begun_is_kept_with_the_definition() -> None:
    """A later report gives the reason, and the cell is planned as before."""
    cells = plan(toy_study())
    kept = read_definition(dump_definition(cells, {cells[0].label: "method.targets: no such"}))
    assert kept is not None
    planned = planned_cells(kept)
    assert [cell.fault for cell in planned] == ["method.targets: no such", ""]
    assert planned == planned_cells(Definition(cells[0].study))


def test_runs_of_a_search_that_goes_on_are_left_out_as_such() -> None:
    """More trials were asked for: whether the configuration is the best is not known yet."""
    searched = cell("full", trials=3, objectives=toy_study().objectives(), seeds=SEEDS[:2])
    confirms = [
        run.model_copy(update={"group": run.group.model_copy(update={"trial": 0})})
        for run in make_runs({"full": [0.8, 0.7]})
    ]
    records = [*confirms, make_trial("full", 0, 0.5), make_trial("full", 1, 0.4)]
    made = report_on(Evidence(("s",), tuple(records), "macro_f1", planned=(searched,)))
    (line,) = (note for note in made.notes() if note.startswith("Left out"))
    assert "2 confirm runs of a search that is not finished" in line
    assert "not the best" not in line
