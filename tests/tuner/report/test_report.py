"""The report as a whole: its files, bytes and words."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.tuner.report.comparisons import make_comparison
from tests.tuner.report.records import (
    arm_rows,
    make_metrics,
    make_record,
    make_runs,
    make_trial,
    report_of,
)
from tuner.report import Report, all_tables, columns_page
from tuner.store import RunRecord

SCORES = {"full": [0.81, 0.84, 0.83], "lora": [0.79, 0.8, 0.86]}


@pytest.fixture
def records() -> list[RunRecord]:
    """Return two arms on three shared seeds, and their search."""
    search = [
        make_trial(arm, n, 0.5 + n / 10, metrics={"validation/macro_f1": 0.5 + n / 10})
        for arm in SCORES
        for n in (0, 1)
    ]
    return [*make_runs(SCORES), *search]


def test_the_same_records_give_the_same_bytes_in_any_order(
    records: list[RunRecord], tmp_path: Path
) -> None:
    """Nothing depends on the order in which the store lists runs."""
    written = set()
    for seed in range(3):
        shuffled = random.Random(seed).sample(records, len(records))
        paths = report_of(shuffled).write(tmp_path / str(seed))
        names = {path.relative_to(tmp_path / str(seed)).as_posix() for path in paths}
        texts = {"cells.csv", "pairs.csv", "runs.csv", "trials.csv"}
        assert names >= texts | {f"report.{form}" for form in ("md", "tex", "html", "json")}
        written.add(tuple(path.read_bytes() for path in paths))
    assert len(written) == 1


def test_the_markdown_has_units_and_says_what_three_seeds_cannot_tell(
    records: list[RunRecord],
) -> None:
    """Points, M, MiB; the direction of each difference, its interval, how few the seeds are."""
    text = report_of(records).text("md")
    assert "| arm | n | macro-F1 | scores | accuracy | trials |" in text
    assert (
        "| full | 3 | **41.33 ± 0.76** | 40.50, 41.50, 42.00 | 82.67 ± 1.53 | 2 | 0.30 M |" in text
    )
    said = "lora is behind full on 2 of 3 seeds, and 3 seeds leave it open (-0.50 points"
    assert f"**{said} [-4.98, +3.98]).**" in text
    assert "it cannot be told how many would settle it; 5 are the fewest that can: add 2" in text
    assert not re.search(r"\d\*(?!\*)", text)  # no stars


def test_csv_columns_are_the_documented_ones_and_numbers_are_raw(
    records: list[RunRecord], tmp_path: Path
) -> None:
    """Names in their documented order; floats come back bit-equal."""
    report_of(records, metric="accuracy").write(tmp_path, ["csv"])
    exported = {table.name: table.COLUMNS for table in all_tables() if table.COLUMNS}
    assert list(exported) == ["cells", "pairs", "runs", "trials", "search"]
    for name, columns in exported.items():
        frame = pd.read_csv(tmp_path / f"{name}.csv")
        assert list(frame.columns)[: len(columns)] == [column.name for column in columns]
        assert len(frame) > 0
    runs = pd.read_csv(tmp_path / "runs.csv")
    assert list(runs[runs["arm"] == "lora"]["test/accuracy"]) == SCORES["lora"]
    assert "train/loss" not in runs.columns


def test_the_page_of_the_columns_is_up_to_date() -> None:
    """docs/report-columns.md names every column with its meaning."""
    page = Path(__file__).parents[3] / "docs" / "report-columns.md"
    assert page.read_text() == columns_page()


def test_json_holds_every_table_and_no_nan(records: list[RunRecord]) -> None:
    """It parses strictly, and its numbers are those of the frames."""
    made = report_of(records)
    content = json.loads(made.text("json"), parse_constant=pytest.fail)
    assert content["schema"] == 2
    assert len(content["cells"]) == len(made.cells)
    assert content["pairs"][0]["ci_low"] == made.pairs["ci_low"][0]
    assert content["verdicts"] == [pair for pair in content["pairs"] if pair["asked"]]
    assert content["answer"]["sentences"] == list(made.answer.sentences)
    assert (
        content["pairs"][0]["run_ids_a"].split()
        == [record.run_id for record in records if record.group.arm == "full"][:3]
    )
    assert {"budget", "tradeoff", "ranks", "swaps", "flags", "notes"} <= content.keys()


def test_one_run_has_no_deviation_and_none_no_mean() -> None:
    """Cells that lack numbers are shown empty, never as zero."""
    failed = make_record("full", 1, state="failed", metrics={})
    made = report_of([failed, make_record("lora", 1, metrics=make_metrics(0.5))])
    first, second = arm_rows(made)  # the best first
    assert first[1:] == ["lora", "1", "25.00", "50.00", "0.30 M", "477 MiB", "6.0"]
    assert second[1:] == ["full", "0", "-", "-", "-", "-", "-"]


def test_several_tasks_have_a_table_each_and_a_column_in_the_terminal() -> None:
    """Arms are compared within a task and model."""
    records = [make_record(a, 1, task=t) for a in ("full", "lora") for t in ("bbc", "toy")]
    made = report_of(records)
    titles = re.findall(r"^## (.*)", made.text("md"), re.MULTILINE)
    against = "Test macro-F1 against the best arm, task by task"
    assert titles == [against, "bbc · tiny", "toy · tiny", "Score, memory, time"]
    lines = [line.split() for line in made.text("terminal").splitlines() if line.strip()]
    head, _, *rows = lines[next(i for i, line in enumerate(lines) if line[0] == "task") :]
    assert head[:2] == ["task", "arm"]
    names = [["bbc", "full"], ["bbc", "lora"], ["toy", "full"], ["toy", "lora"]]
    assert [row[:2] for row in rows[:4]] == names


def test_a_study_without_runs_has_an_empty_report(tmp_path: Path) -> None:
    """It says so in every form, and its files have their headers."""
    made = report_of([])
    assert made.text("md") == "No confirm run has finished or failed yet.\n"
    assert made.text("terminal") == made.text("md")
    made.write(tmp_path)
    assert (tmp_path / "cells.csv").read_text().startswith("study,task,model,arm,method,metric,n,")
    assert not (tmp_path / "pictures").exists()


def test_names_cannot_break_the_markdown() -> None:
    """A pipe, a line break or a tag in an arm's name stays in its cell."""
    text = report_of([make_record("a|b\n<script>", 1)]).text("md")
    assert "| a\\|b &lt;script&gt; | 1 |" in text


def test_importing_the_door_does_not_import_pandas() -> None:
    """`tuner --help` stays quick."""
    modules = ("pandas", "mlflow", "scipy", "matplotlib", "statsmodels", "jinja2")
    code = f"import sys, tuner.report; print([m for m in {modules} if m in sys.modules])"
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_markdown_in_a_folder_shows_the_pictures_beside_it(tmp_path: Path) -> None:
    """Each that was written, with its caption; printed, it shows none."""
    report = Report(make_comparison())
    report.write(tmp_path, ["md"], pictures=("svg",))
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    shown = re.findall(r"^!\[.*\]\((pictures/.*)\)$", text, re.MULTILINE)
    assert len(shown) == len(report.pictures)
    assert all((tmp_path / name).is_file() for name in shown)
    assert "![" not in report.text("md")
    report.write(tmp_path / "without", ["md"], pictures=())
    assert (tmp_path / "without" / "report.md").read_text(encoding="utf-8") == report.text("md")
