"""The report's page in a real browser: quiet, self-contained, sortable, whole, and narrow."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.tuner.report.comparisons import (
    ARMS,
    MODEL,
    SEEDS,
    TASKS,
    make_comparison,
    ranks_of,
    with_frames,
)
from tuner.report import Comparison, Report
from tuner.report.wording import value_text

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = pytest.mark.browser

_OPEN = "document.querySelectorAll('details').forEach(fold => fold.open = true)"
_TABLE = (
    "Array.from(document.querySelectorAll('.box table'))"
    ".filter(table => table.caption.textContent.startsWith('Arms'))[arguments[0]]"
)
_COLUMN = f"return Array.from({_TABLE}.tBodies[0].rows, row => row.cells[arguments[1]]"
_RANKS = dict(zip(ARMS, (1.5, 2.2, 2.9, 3.6, 4.8), strict=True))


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    """Make two tasks, five arms, and every kind of picture."""
    return make_comparison(ranks=ranks_of(_RANKS, 1.4))


@pytest.fixture(scope="module")
def address(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write the page; return where it is."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(Report(comparison).text("html"), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def page(browser: Chrome, address: str) -> Chrome:
    """Open the page."""
    browser.get(address)
    return browser


def test_the_console_is_empty_and_nothing_else_is_requested(page: Chrome, address: str) -> None:
    """Neither an error nor a warning; the only request is the one for the file."""
    page.execute_script(_OPEN)
    assert page.get_log("browser") == []
    assert _requests(page) == {address}


def test_the_console_and_the_requests_would_be_seen(browser: Chrome, tmp_path: Path) -> None:
    """A page that fetches and fails is told from one that does not."""
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='missing.png'><script>undefinedName()</script>", encoding="utf-8")
    browser.get(bad.as_uri())
    assert {entry["level"] for entry in browser.get_log("browser")} == {"SEVERE"}
    assert (tmp_path / "missing.png").as_uri() in _requests(browser)


def test_a_click_sorts_and_a_second_one_turns_the_order_round(page: Chrome) -> None:
    """By the unrounded number, not by its text; the head says which way."""
    before = _values(page, 0, 2)
    assert before != sorted(before)
    button = _button(page, 0, 2)
    button.click()
    assert _values(page, 0, 2) == sorted(before)
    assert button.find_element("xpath", "..").get_attribute("aria-sort") == "ascending"
    button.click()
    assert _values(page, 0, 2) == sorted(before, reverse=True)
    assert button.find_element("xpath", "..").get_attribute("aria-sort") == "descending"
    for order in (1, -1):
        _button(page, 0, 0).click()
        names = page.execute_script(f"{_COLUMN}.textContent)", 0, 0)
        assert names == sorted(ARMS)[::order]
    assert page.execute_script(f"return {_TABLE}.querySelectorAll('[aria-sort]').length", 0) == 1


def test_the_keyboard_sorts_too_and_what_has_no_number_stays_last(page: Chrome) -> None:
    """Enter on the head of peak memory, which one arm lacks."""
    page.execute_script(_OPEN)
    heads = page.execute_script(f"return Array.from({_TABLE}.rows[0].cells, c => c.innerText)", 0)
    place = next(i for i, text in enumerate(heads) if text.startswith("peak"))
    for order in (1, -1):
        _button(page, 0, place).send_keys("\n")
        *known, last = _values(page, 0, place)
        assert math.isnan(last)
        assert known == sorted(known)[::order]


def test_every_cell_of_the_comparison_is_shown(page: Chrome, comparison: Comparison) -> None:
    """Each task's arms, with the text of mean and deviation, visible without a click."""
    page.execute_script(_OPEN)
    tables = page.find_elements("css selector", ".box table")
    captions = [table.find_element("tag name", "caption").text for table in tables]
    arms = [table for table in tables if "Arms" in table.text.split("\n")[0]]
    assert len(arms) == len(TASKS)
    for task, table in zip(TASKS, arms, strict=True):
        shown = {row.find_element("tag name", "th").text: row.text for row in _rows(table)}
        assert set(shown) == set(ARMS)
        for row in comparison.rows("cells", task, MODEL):
            assert value_text(row["mean"], row["metric"]) in shown[row["arm"]]
    assert any(caption.startswith("Pairs of arms") for caption in captions)
    height = "svg => svg.getBoundingClientRect().height"
    pictures = page.execute_script(
        f"return Array.from(document.querySelectorAll('svg'), {height})"
    )
    assert len(pictures) == len(Report(comparison).pictures)
    assert min(pictures) > 50


def test_a_name_that_is_a_script_stays_text(page: Chrome) -> None:
    """Nothing is run, and the cell's text is the name."""
    from selenium.common.exceptions import NoAlertPresentException

    with pytest.raises(NoAlertPresentException):
        _ = page.switch_to.alert.text
    assert ARMS[0] in page.execute_script(f"{_COLUMN}.textContent)", 0, 0)
    assert page.execute_script("return document.scripts.length") == 1
    labels = page.execute_script(
        "return Array.from(document.querySelectorAll('svg text'), text => text.textContent)"
    )
    assert ARMS[0] in labels
    assert ARMS[1] in labels


def test_the_first_screen_has_the_answer_and_every_arm(
    browser: Chrome, tmp_path: Path, comparison: Comparison
) -> None:
    """At 1280 by 900 pixels, of one task; every seed is a dot, best mean first."""
    frames = {
        name: frame[frame["task"] == TASKS[0]] if "task" in frame else frame
        for name, frame in comparison.frames.items()
    }
    report = Report(with_frames(comparison, **frames))
    path = tmp_path / "one.html"
    path.write_text(report.text("html"), encoding="utf-8")
    browser.get(path.as_uri())
    assert report.answer.sentences[0] in browser.find_element("tag name", "header").text
    rows = browser.find_elements("css selector", ".leaderboard tbody tr")
    assert len(rows) == len(ARMS)
    assert all(row.rect["y"] + row.rect["height"] < 900 for row in rows)
    dots = [len(row.find_elements("css selector", ".dot")) for row in rows]
    assert dots == [len(SEEDS)] * len(ARMS)
    means = [float(row.find_element("css selector", ".score b").text) for row in rows]
    assert means == sorted(means, reverse=True)
    assert "▲" in browser.find_element("css selector", ".leaderboard").text


def test_no_script_but_the_pages_own_can_run(page: Chrome) -> None:
    """The page's policy refuses what might slip through: an inserted script is not run."""
    page.execute_script(
        "const script = document.createElement('script'); script.textContent = 'window.ran = 1';"
        "document.body.append(script)"
    )
    assert page.execute_script("return window.ran") is None


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_never_scrolls_sideways(browser: Chrome, address: str, width: int) -> None:
    """Neither on a phone nor on a desk: wide tables scroll in their own boxes."""
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(address)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    root = "document.documentElement"
    assert browser.execute_script(f"return {root}.scrollWidth <= {root}.clientWidth")
    boxes = browser.execute_script(
        "return Array.from(document.querySelectorAll('.box'), b => b.scrollWidth > b.clientWidth)"
    )
    assert any(boxes)
    cues = browser.execute_script(
        "return Array.from(document.querySelectorAll('.box .more'), m => m.offsetHeight > 0)"
    )
    assert cues == boxes  # a line says that the rest is to be scrolled to


def test_text_can_be_read_in_light_and_dark(browser: Chrome, address: str) -> None:
    """Contrast of text, soft text and links with the page is 4.5 or more, in both schemes."""
    papers = set()
    for scheme in ("light", "dark"):
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        browser.get(address)
        paper = _colour(browser, "body", "backgroundColor")
        papers.add(paper)
        for place in ("body", ".soft", ".detail", ".verdict", ".runs summary", "figcaption"):
            assert _contrast(_colour(browser, place, "color"), paper) >= 4.5
        assert _colour(browser, "svg text", "fill") == _colour(browser, "body", "color")
    assert len(papers) == 2


def test_paper_has_no_buttons_and_all_the_lists(page: Chrome) -> None:
    """Folded lists of trials and runs are opened, sorting marks and run ids left out."""
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    page.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    folds = page.find_elements("css selector", "details.fold")
    assert folds
    assert all(fold.get_attribute("open") for fold in folds)
    assert not any(cell.is_displayed() for cell in page.find_elements("css selector", ".runs"))
    cell = "return getComputedStyle(document.querySelector('.leaderboard td')).display"
    assert page.execute_script(cell) == "table-cell"
    mark = "return getComputedStyle(document.querySelector('th button'), '::after').display"
    assert page.execute_script(mark) == "none"
    page.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert not any(fold.get_attribute("open") for fold in folds)


def _requests(browser: Chrome) -> set[str]:
    messages = [
        json.loads(entry["message"])["message"] for entry in browser.get_log("performance")
    ]
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    addresses = {str(params["request"]["url"]) for params in sent}
    return {a for a in addresses if not a.startswith("data:")}


def _button(page: Chrome, table: int, column: int) -> Any:
    page.execute_script(_OPEN)
    return page.execute_script(
        f"return {_TABLE}.rows[0].cells[arguments[1]].firstChild", table, column
    )


def _rows(table: Any) -> list[Any]:
    found: list[Any] = table.find_elements("css selector", "tbody tr")
    return found


def _values(page: Chrome, table: int, column: int) -> list[float]:
    raw = page.execute_script(f"{_COLUMN}.getAttribute('data-value'))", table, column)
    return [math.nan if value is None else float(value) for value in raw]


def _colour(browser: Chrome, place: str, name: str) -> tuple[int, ...]:
    text = browser.execute_script(
        "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]", place, name
    )
    return tuple(int(part) for part in text[text.index("(") + 1 : -1].split(",")[:3])


def _contrast(first: tuple[int, ...], second: tuple[int, ...]) -> float:
    """Return the contrast ratio of WCAG 2.2."""
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: tuple[int, ...]) -> float:
    shares = [part / 255 for part in colour]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return sum(w * part for w, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
