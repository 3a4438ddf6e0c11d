"""Promises of the study that is killed again and again: what it compares, and a short series."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bench import chaos, chaos_study
from bench.chaos_compare import Killed, Remains, differences, mask_text
from bench.chaos_study import KINDS, Kill
from tests.starts import Started

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "docs" / "results" / "restaurant-minilm"
IDS = {"run_id", "run_ids", "parent_run_id", "run_ids_a", "run_ids_b"}
MEASURED = {"seconds", "peak_memory_bytes", "peak_memory_mean_bytes", "peak_with_eval_bytes"} | {
    *("seconds/eval", "seconds/load", "seconds/train"),
    *("memory/eval/peak_bytes", "memory/load/peak_bytes", "memory/train/peak_bytes"),
}
IN_MARKDOWN = {"seconds", "peak memory", "Pareto-optimal", "over resampled seeds"} | {
    "memory saved: mean peak",
    "largest peak",
    "with evaluation",
}
KILLS = 10


@pytest.mark.parametrize("name", ["cells.csv", "pairs.csv", "runs.csv", "trials.csv"])
def test_what_is_masked_in_a_table_is_an_id_seconds_or_bytes(name: str) -> None:
    """Any other value that changes is seen, and so is one of these that is missing."""
    text = (REPORT / name).read_text()
    names, *rows = csv.reader(io.StringIO(text))
    for column, title in enumerate(names):
        value = rows[0][column]
        number, other_id = "12.5", "0f" * 16
        ids = " ".join([other_id] * max(1, len(value.split())))
        assert _sees(text, column, number) == (title not in MEASURED), title
        assert _sees(text, column, ids) == (title not in IDS), title
        assert _sees(text, column, f"{ids} {other_id}"), title
        assert not value or _sees(text, column, ""), title


def test_what_is_masked_on_a_page_is_an_id_or_stands_in_a_column_of_seconds_or_memory() -> None:
    """Of every digit on the page: if it may change unseen, it is one of these."""
    page = (REPORT / "report.md").read_text()
    lines, header = page.splitlines(), list[str]()
    unseen = set()
    for line in lines:
        cells = [cell.strip() for cell in line.split("|")] if line.startswith("|") else []
        header = (header or cells) if cells else []
        for place in (match.start() for match in re.finditer(r"\d", line)):
            other = f"{line[:place]}{(int(line[place]) + 1) % 10}{line[place + 1 :]}"
            table = "\n".join(["|".join(header), line] if header else [line])
            changed = "\n".join(["|".join(header), other] if header else [other])
            if mask_text("report.md", table) == mask_text("report.md", changed):
                unseen.add(header[line[:place].count("|")] if header else line.split(":")[0])
    # Budgets at which arms change places are in seconds too; those in trials stand in JSON.
    budgets = "- Expected best validation macro-F1 by number of trials"
    assert unseen <= IN_MARKDOWN | {"MLflow runs", budgets}
    assert {"seconds", "peak memory", "MLflow runs"} <= unseen


def test_what_is_masked_in_json_goes_by_its_key() -> None:
    """A number under another key stays, and so does what is null."""
    text = '{"runs": [{"seconds": 0.5, "mean": 0.5, "peak_memory_bytes": null}]}'
    masked = mask_text("report.json", text)
    assert masked == mask_text("report.json", text.replace('"seconds": 0.5', '"seconds": 0.75'))
    assert masked != mask_text("report.json", text.replace('"mean": 0.5', '"mean": 0.75'))
    assert masked != mask_text("report.json", text.replace("null", "12"))


def test_a_run_that_is_missing_doubled_or_other_is_a_difference() -> None:
    """Each is reported with the run's name."""
    line = '{"name": "full", "parent": null, "points": {"loss": [[1, "0.5"]]}}'
    calm = Remains({"report.md": "a"}, Counter({line: 1}), [])
    assert differences(calm, calm) == []
    (lacking,) = differences(calm, replace(calm, runs=Counter()))
    assert lacking.startswith('MLflow lacks 1 of: {"name": "full"')
    (doubled,) = differences(calm, replace(calm, runs=Counter({line: 2})))
    assert doubled.startswith('MLflow has 1 too many of: {"name": "full"')
    other = differences(calm, replace(calm, runs=Counter({line.replace("0.5", "0.6"): 1})))
    assert "points loss: [[1, '0.5']] became [[1, '0.6']]" in other[0]
    (page,) = differences(calm, replace(calm, reports={"report.md": "b"}))
    assert page.startswith("report.md:")


def test_a_killed_run_is_put_down_to_the_first_kill_after_its_start() -> None:
    """One that began when nothing was killed any more is a fault, but after a lost writer."""
    kills = [Kill("launcher", moment, moment, 0) for moment in (10.0, 20.0)]
    killed = [Killed("a", 9.0), Killed("b", 12.0), Killed("c", 21.0)]
    rows, unexplained = chaos.resumed(kills, killed)
    assert [row.resumed for row in rows] == [["a"], ["b"]]
    assert unexplained == ["c"]
    rows, unexplained = chaos.resumed([replace(kills[0], kind="writer"), kills[1]], killed)
    assert [row.resumed for row in rows] == [["a", "c"], ["b"]]
    assert unexplained == []


@pytest.mark.timeout(900)
def test_a_study_that_is_killed_ten_times_ends_as_one_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short twin of docs/results/chaos.md: its reports and MLflow's runs are equal."""
    monkeypatch.setattr(chaos_study, "start", Started)
    (result,) = chaos.series(tmp_path, kills=KILLS, seed=1, kinds=list(KINDS), keep=None)
    assert result.differences == []
    assert len(result.rows) == KILLS
    assert {row.kill.kind for row in result.rows} == set(KINDS)


def _sees(text: str, column: int, value: str) -> bool:
    """Return whether a table with another value in its first row is another when it is masked."""
    rows = list(csv.reader(io.StringIO(text)))
    rows[1][column] = value
    changed = io.StringIO()
    csv.writer(changed).writerows(rows)
    return mask_text("x.csv", text) != mask_text("x.csv", changed.getvalue())
