"""MLflow's own page shows a study as a tree whose parents carry mean and spread."""

from __future__ import annotations

import itertools
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mlflow import MlflowClient

from tests.specs import toy_study
from tuner.report import build_report
from tuner.study.run import run_study

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = pytest.mark.browser

STUDY = "toy-study"
ARMS = {"full": {"method": "full"}, "head": {"method": "head"}}
MEAN, STD = "test/macro_f1", "test/macro_f1_std"
_SECONDS = 90


@pytest.fixture(scope="module")
def lines(_chrome: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Run two arms on two seeds, unless there is no browser; serve them, return what is said."""
    store = tmp_path_factory.mktemp("ui") / "store"
    run_study(toy_study(arms=ARMS), store=store, data_dir=store / "data")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tuner", "ui", "--store", str(store), "--port", str(port)]
    quiet: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], **quiet)
    try:
        yield list(itertools.takewhile(lambda line: "Ctrl-C" not in line, process.stdout))
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def server(lines: list[str]) -> str:
    """Return the address of the server, which answers by the time that it is printed."""
    return lines[-1].split()[-1].partition("#")[0]


@pytest.fixture(scope="module")
def parents(server: str) -> dict[str, dict[str, float]]:
    """Return the metrics of the configurations' runs, by name."""
    client = MlflowClient(tracking_uri=server)
    runs = client.search_runs([_experiment(server)])
    found = {run.info.run_name: run.data.metrics for run in runs if "n" in run.data.metrics}
    assert set(found) == {"full · confirm", "head · confirm"}
    return found


def test_the_study_is_a_tree_whose_parents_carry_mean_and_spread(
    browser: Chrome, server: str, parents: dict[str, dict[str, float]]
) -> None:
    """Parents stand alone with their mean and deviation, and open into their seeds."""
    _open_runs(browser, server, "orderByKey=attributes.start_time&orderByAsc=false")
    first, second = _names(browser, 2)
    assert {first, second} == set(parents)
    for name, metrics in parents.items():
        for metric in (MEAN, STD):
            assert _shown(browser, name, metric) == pytest.approx(metrics[metric], abs=5e-4)

    _row(browser, first).find_element("css selector", "button").click()
    names = _names(browser, 4)
    assert [names[0], names[3]] == [first, second]
    assert sorted(names[1:3]) == [f"{first} · seed {seed}" for seed in (1, 2)]


def test_the_page_of_the_arms_has_the_parents_best_first(
    browser: Chrome, lines: list[str], parents: dict[str, dict[str, float]]
) -> None:
    """With mean, deviation and number of seeds, by the address that `tuner ui` prints."""
    (page,) = (line.split()[-1] for line in lines if line.startswith("arms:"))
    browser.get(page)
    ordered = sorted(parents, key=lambda name: -parents[name][MEAN])
    assert _names(browser, 2) == ordered
    for name in ordered:
        for metric in (MEAN, STD, "n"):
            assert _shown(browser, name, metric) == pytest.approx(parents[name][metric], abs=5e-4)


def test_the_page_of_the_losses_has_a_line_an_arm(browser: Chrome, lines: list[str]) -> None:
    """Each the mean over its seeds."""
    from selenium.webdriver.support.ui import WebDriverWait

    (page,) = (line.split()[-1] for line in lines if line.startswith("losses:"))
    browser.get(page)
    wait = WebDriverWait(browser, _SECONDS)
    for line in ("full (train/loss)", "head (train/loss)"):
        wait.until(lambda seen, line=line: line in seen.find_element("tag name", "body").text)


def test_a_link_of_the_report_opens_the_page_of_its_run(
    browser: Chrome, server: str, tmp_path: Path
) -> None:
    """Of an arm, and of a dot: MLflow's page names the run."""
    from selenium.webdriver.support.ui import WebDriverWait

    page = tmp_path / "report.html"
    page.write_text(build_report(STUDY, store=server.rstrip("/")).text("html"), encoding="utf-8")
    find = "return document.querySelector(arguments[0]).getAttribute(arguments[1])"
    for place, name, run in (
        ("table a", "href", "full · confirm"),
        ("svg a", "xlink:href", "full · confirm · seed 1"),
    ):
        browser.get(page.as_uri())
        address = browser.execute_script(find, place, name)
        assert address.startswith(f"{server}#/experiments/{_experiment(server)}/runs/")
        browser.get(address)
        wait = WebDriverWait(browser, _SECONDS)
        wait.until(lambda seen, run=run: run in seen.find_element("tag name", "body").text)


def _experiment(server: str) -> str:
    found = MlflowClient(tracking_uri=server).get_experiment_by_name(STUDY)
    assert found is not None
    return str(found.experiment_id)


def _open_runs(browser: Chrome, server: str, sort: str) -> None:
    """Open the table of runs with the two columns.

    The order stands in the address; the columns, where MLflow's page keeps what a user chose.
    """
    experiment = _experiment(server)
    kept = {
        f'MLflowLocalStorage-1.1-ExperimentPage-["{experiment}"]-ReactComponentState': {
            "selectedColumns": [f"metrics.`{metric}`" for metric in (MEAN, STD)]
        },
        "mlflow.assistant.panelOpen_v1": False,
    }
    browser.get(f"{server}version")
    for key, value in kept.items():
        text = json.dumps(value)
        browser.execute_script("localStorage.setItem(arguments[0], arguments[1])", key, text)
    browser.get(f"{server}#/experiments/{experiment}/runs?{sort}")


def _names(browser: Chrome, count: int) -> list[str]:
    """Wait for so many rows; return the names of their runs, from the top."""
    script = """
        return Array.from(document.querySelectorAll('.ag-pinned-left-cols-container [role=row]'))
            .map(row => [Number(row.getAttribute('row-index')), row.querySelector('a')])
            .filter(([, link]) => link)
            .sort(([first], [second]) => first - second)
            .map(([, link]) => link.textContent)
    """
    deadline, names = time.monotonic() + _SECONDS, list[str]()
    while time.monotonic() < deadline:
        names = browser.execute_script(script)
        if len(names) == count:
            return list(names)
        time.sleep(0.2)
    pytest.fail(f"{count} rows awaited, seen: {names}")


def _row(browser: Chrome, name: str) -> Any:
    path = f"//*[@role='row'][.//a[normalize-space()='{name}']]"
    return browser.find_element("xpath", path)


def _shown(browser: Chrome, name: str, metric: str) -> float:
    """Return the number that the table shows for a run; its row is in two halves."""
    from selenium.webdriver.support.ui import WebDriverWait

    index = _row(browser, name).get_attribute("row-index")
    cell = f"[row-index='{index}'] [col-id='metrics.`{metric}`']"
    wait = WebDriverWait(browser, _SECONDS)
    return float(wait.until(lambda seen: seen.find_element("css selector", cell).text))
