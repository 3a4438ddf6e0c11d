"""What was read is in the report: what makes numbers doubtful before everything else."""

from __future__ import annotations

from tests.tuner.report.records import make_record, report_of
from tuner.report import Report
from tuner.store import RunRecord

ROWS = {"read.rows": "8 train, 2 validation, 2 test rows"}
CUT = "max_length: 32 cuts 27 of 27 training rows; the longest has 45 tokens"
ALIKE = "classes 'pos' and 'Pos' differ by case alone"
SAME = {"warning.test_in_validation": "2 of 2 test rows are in validation too"}


def runs(*arms: str, task: str = "toy", **facts: str) -> list[RunRecord]:
    """Make two runs of each arm with these facts."""
    return [make_record(arm, seed, task=task, facts=facts) for arm in arms for seed in (1, 2)]


def shown(report: Report) -> list[str]:
    """Return the doubts of a report, after checking that every form says them first."""
    warnings = list(report.comparison.warnings)
    assert report.doubts() == [f"Doubtful data: {text}." for text in warnings]
    for text in warnings:
        markdown, page = report.text("md"), report.text("html")
        assert markdown.index(text.split("'")[0]) < markdown.index("##")
        assert page.index('id="warning-1"') < page.index("<main>")
        assert f"% Doubtful data: {text}." in report.text("tex")
        assert text.split("'")[0] in report.text("json")
    return warnings


def test_doubts_come_first_in_every_form_and_the_rest_is_a_note() -> None:
    """Test rows that chose the epochs are said before any number."""
    made = report_of(runs("full", "lora", **ROWS, **SAME))
    assert shown(made) == ["2 of 2 test rows are in validation too"]
    assert "Read: 8 train, 2 validation, 2 test rows." in made.notes()


def test_of_clean_data_nothing_is_doubted() -> None:
    """Nor of runs that were done before facts were kept."""
    for facts in (ROWS, {}):
        made = report_of(runs("full", "lora", **facts))
        assert shown(made) == []
        assert 'id="warning-1"' not in made.text("html")


def test_a_doubt_about_some_arms_names_them() -> None:
    """An arm may cut its rows elsewhere than the others."""
    records = [*runs("full"), *runs("lora", **{"warning.cut.32": CUT})]
    assert shown(report_of(records)) == [f"lora: {CUT}"]


def test_a_doubt_under_several_data_seeds_is_said_once() -> None:
    """Each draws other rows, and has other numbers."""
    records = [
        make_record("full", seed, data=seed, facts={"warning.repeated": f"{seed} rows repeat"})
        for seed in (3, 4)
    ]
    assert shown(report_of(records)) == ["3 rows repeat (other data seeds draw other rows)"]


def test_of_several_tasks_each_doubt_names_its_own() -> None:
    """The task; where the tokenizer decides, the model too."""
    records = runs("full", task="a", **{"warning.alike": ALIKE})
    records += runs("full", task="b", **{"warning.cut.32": CUT})
    model = records[0].group.model
    assert shown(report_of(records)) == [f"a: {ALIKE}", f"b · {model}: {CUT}"]
