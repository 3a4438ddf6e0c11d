"""The page stands alone, shows every number beside its raw value, and takes any name as text."""

from __future__ import annotations

import importlib.resources
import itertools
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.tuner.report.comparisons import (
    ARMS,
    MODEL,
    TASKS,
    make_comparison,
    make_empty,
    with_frames,
)
from tuner.report import Comparison, Report
from tuner.report.wording import value_text

ROOT = Path(__file__).parents[4]


class Outline(HTMLParser):
    """What a page holds: headings, attributes, and the cells of its tables."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[tuple[str, str | None]]]] = []
        self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append(("", dict(attrs).get("data-value")))
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        """Leave a cell."""
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        """Add to a cell's text."""
        if self._in_cell:
            text, value = self.tables[-1][-1][-1]
            self.tables[-1][-1][-1] = (text + data, value)

    def values(self, tag: str, name: str) -> list[str | None]:
        """Return an attribute of all tags of a kind."""
        return [found.get(name) for kind, found in self.tags if kind == tag]


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    """Make two tasks with five arms."""
    return make_comparison()


@pytest.fixture(scope="module")
def report(comparison: Comparison) -> Report:
    """Return their report, which draws their pictures once."""
    return Report(comparison)


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    """Render it."""
    return report.text("html")


def test_the_bytes_are_the_same_each_time(page: str, report: Report) -> None:
    """Neither a date nor a random id."""
    assert Report(make_comparison()).text("html") == page
    assert report.text("html") == page
    assert page.startswith("<!doctype html>\n")
    assert page.endswith("</html>\n")


def test_the_page_fetches_nothing(page: str) -> None:
    """Whatever has an address is inline, a place of the page itself, or empty."""
    found = Outline(page)
    for name in ("src", "href", "xlink:href", "action", "poster", "data", "srcset"):
        for _, attributes in found.tags:
            address = attributes.get(name)
            assert address is None or address.startswith("#") or address == "data:,"
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    assert re.findall(r"https?://[^\"]+", page) == re.findall(r"http://www\.w3\.org[^\"]+", page)


def test_ids_are_unique_and_every_link_has_its_place(page: str) -> None:
    """Pictures, headings and links do not get in each other's way."""
    ids = [found["id"] for _, found in Outline(page).tags if found.get("id")]
    assert len(ids) == len(set(ids))
    links = [link for link in Outline(page).values("a", "href") if link]
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_names_are_text(page: str) -> None:
    """The only script is the page's own; a tag in a name, a flag or a study is shown as it is."""
    assert [tag for tag, _ in Outline(page).tags].count("script") == 1
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "s &amp; &lt;b&gt;t&lt;/b&gt;" in page
    assert "lora 8 &lt;b&gt;trials&lt;/b&gt;" in page
    assert "Course report &lt;2023&gt;" in page
    assert "<b>trials</b>" not in page
    assert "<b>t</b>" not in page


def test_headings_are_in_order(page: str) -> None:
    """One h1, and no level is skipped."""
    levels = [int(tag[1]) for tag, _ in Outline(page).tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_every_cell_is_there_with_its_raw_value(page: str, comparison: Comparison) -> None:
    """Mean, deviation and interval as they are written in words, and the unrounded mean."""
    tables = Outline(page).tables
    for task in TASKS:
        rows = comparison.rows("cells", task, MODEL)
        here = next(
            table
            for table in tables
            if any(cell[1] == repr(rows[0]["mean"]) for row in table for cell in row)
        )
        by_arm = {line[0][0]: line for line in here[1:]}
        assert set(by_arm) == set(ARMS)
        for row in rows:
            shown = [text for text, value in by_arm[row["arm"]] if value == repr(row["mean"])]
            assert len(shown) == 1
            assert shown[0].startswith(value_text(row["mean"], row["metric"]))
            if row["n"] > 1:
                assert value_text(row["std"], row["metric"]) in shown[0]
                assert value_text(row["ci_low"], row["metric"]) in shown[0]


def test_every_pair_trial_run_and_reference_is_there(page: str, comparison: Comparison) -> None:
    """Counted by the unrounded values of each frame."""
    values = [value for table in Outline(page).tables for row in table for _, value in row]
    for difference in comparison.frames["pairs"]["mean_difference"]:
        assert repr(float(difference)) in values
    for score in comparison.frames["runs"]["test/macro_f1"].dropna():
        assert repr(float(score)) in values
    assert repr(float(comparison.frames["references"]["difference"].iloc[0])) in values
    rows = sum(len(table) - 1 for table in Outline(page).tables)
    assert rows >= sum(
        len(comparison.frames[name]) for name in ("pairs", "runs", "trials", "ranks", "tradeoff")
    )


def test_every_number_leads_to_its_runs(page: str, comparison: Comparison) -> None:
    """All run ids stand in the page."""
    frames = ((comparison.frames["cells"], "run_ids"), (comparison.frames["trials"], "run_ids"))
    frames += ((comparison.frames["pairs"], "run_ids_a"), (comparison.frames["runs"], "run_id"))
    for frame, column in frames:
        for ids in frame[column].dropna():
            assert all(f"<code>{run}</code>" in page for run in ids.split())


def test_flags_come_first_and_only_where_there_are_any(page: str, comparison: Comparison) -> None:
    """The box stands before the tables."""
    assert page.index('class="flags"') < page.index("<main>")
    fair = Report(replace(comparison, flags=())).text("html")
    assert 'class="flags"' not in fair


def test_the_best_is_bold_and_what_is_equivalent_to_it_underlined(
    page: str, comparison: Comparison
) -> None:
    """By mean score, and by the verdicts of the pairs."""
    marks = re.findall(r'class="number (best|near)"', page)
    assert marks.count("best") == len(TASKS)
    assert "near" in marks
    best = next(found for found in re.findall(r'number best" data-value="([^"]+)"', page))
    cells = comparison.frames["cells"]
    here = cells[(cells["task"] == TASKS[0]) & (cells["metric"] == comparison.metric)]
    assert float(best) == here["mean"].max()


def test_a_baseline_gets_a_column_of_differences(comparison: Comparison) -> None:
    """Each arm's difference stands in its row, and the baseline has none."""
    pairs = comparison.frames["pairs"][comparison.frames["pairs"]["arm_b"] == "lora"]
    with_pairs = with_frames(comparison, pairs=pairs)
    page = Report(replace(with_pairs, baseline="lora")).text("html")
    table = next(
        found
        for found in Outline(page).tables
        if {"n", "against lora"} <= {text.strip() for text, _ in found[0]}
    )
    place = next(i for i, (text, _) in enumerate(table[0]) if text.strip() == "against lora")
    found = {row[0][0]: row[place][1] for row in table[1:]}
    main = pairs[(pairs["task"] == TASKS[0]) & (pairs["metric"] == comparison.metric)]
    expected = dict(zip(main["arm_a"], main["mean_difference"], strict=True))
    assert {arm: float(value) for arm, value in found.items() if value} == expected
    assert found["lora"] is None


def test_each_picture_stands_once_and_has_its_words(page: str, report: Report) -> None:
    """In the section of its task and model, with its caption below."""
    for picture in report.pictures.values():
        assert page.count(picture.svg) == 1
    first, second = (page.index(f'id="cell-{number}"') for number in (1, 2))
    toy = next(p for p in report.pictures.values() if p.task == "toy")
    assert first < second < page.index(toy.svg)


def test_a_study_without_runs_has_a_page() -> None:
    """It says so, and has no table."""
    page = Report(make_empty()).text("html")
    assert "No confirm run has finished or failed yet." in page
    assert "<table" not in page


def test_only_terms_that_occur_are_explained(page: str, comparison: Comparison) -> None:
    """Published numbers, ranks and sources of variance, where there are some."""
    rare = ("published numbers", "critical difference</dt>", "share of the variance</dt>")
    terms = page[page.index('id="reading"') :]
    assert all(term in terms for term in (*rare, "<dt>verdict, margin</dt>"))
    empty = {
        name: comparison.frames[name].iloc[:0] for name in ("references", "ranks", "variance")
    }
    one = with_frames(comparison, **empty)
    few = Report(replace(one, notes=())).text("html")
    terms = few[few.index('id="reading"') :]
    assert not any(term in terms for term in rare)
    assert "<dt>verdict, margin</dt>" in terms


def test_the_template_is_part_of_the_package() -> None:
    """A wheel that is built from the package has it too."""
    folder = importlib.resources.files("tuner.report") / "templates"
    names = {entry.name for entry in folder.iterdir()}
    assert {"report.html.j2", "reading.html.j2", "report.css", "report.js"} <= names


def test_importing_the_page_is_light() -> None:
    """Jinja2, matplotlib and pandas are loaded when a page is made."""
    heavy = {"jinja2", "matplotlib", "pandas"}
    code = f"import sys, tuner.report.forms.html; print({heavy} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
