"""The command line as a user meets it: real processes, real MLflow, exit codes."""

from __future__ import annotations

import importlib.metadata
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from mlflow import MlflowClient

from tests.commands import refused
from tests.journals import begun
from tests.launchers import launched, lives, wait_until
from tests.specs import QUICK, toy_tree
from tests.starts import start_anew, tuner
from tests.tuner.tracking.projections import desk
from tuner.cli.app import COMMANDS


def write_study(folder: Path, **changes: Any) -> Path:
    """Write the toy study as YAML."""
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(toy_tree(**changes)))
    return path


def stored_runs(folder: Path) -> list[Any]:
    """Read every run of the study through the stock client."""
    client = MlflowClient(tracking_uri=f"sqlite:///{(folder / 'mlruns' / 'mlflow.db').resolve()}")
    experiment = client.get_experiment_by_name("toy-study")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def children(runs: list[Any]) -> list[Any]:
    """Pick the runs that have a parent."""
    return [run for run in runs if "mlflow.parentRunId" in run.data.tags]


def test_a_study_from_yaml_to_table_and_again(tmp_path: Path) -> None:
    """Runs, prints the table and what to type next; a second call finds all and says the same."""
    write_study(tmp_path, save="best")
    first = start_anew("run-study", "study.yaml", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    read, lengths = first.stderr.splitlines()  # of clean data a line, and of each max_length
    assert read.startswith("toy: 128 train, 64 validation, 64 test rows; 3 classes (")
    assert lengths.startswith("toy: max_length: 128 cuts no row; the longest has ")
    said = ("macro-F1", "against", "5 are the fewest", "tuner ui", "tuner report")
    for words in ("full", "head", *said):
        assert words in first.stdout
    again = tuner("run-study", "study.yaml", cwd=tmp_path)
    assert again.returncode == 0
    table = first.stdout[first.stdout.index("trained") :]
    assert again.stdout[again.stdout.index("trained") :] == table
    assert "(found)" in again.stdout
    assert (tmp_path / "mlruns" / "reports" / "toy-study.html").is_file()
    narrow = tuner("report", "study.yaml", cwd=tmp_path, COLUMNS="40")
    assert narrow.returncode == 0
    assert "…" not in narrow.stdout  # a cell is folded, not cut
    runs = stored_runs(tmp_path)
    assert Counter(run.info.status for run in runs) == {"FINISHED": len(runs)}
    assert len(children(runs)) == 2 + 2 + 2
    self_report(tmp_path)
    model_of_best_run(tmp_path, runs)


def self_report(folder: Path) -> None:
    """Check the printed and the written report against each other."""
    printed = tuner("report", "study.yaml", cwd=folder)
    assert printed.returncode == 0, printed.stderr
    written = tuner("report", "study.yaml", "--output", "out", cwd=folder)
    assert written.returncode == 0, written.stderr
    text = (folder / "out" / "report.md").read_text()
    pictures = re.findall(r"^!\[.*?\]\((.*)\)\n\n", text, re.M)
    assert pictures
    assert all((folder / "out" / path).is_file() for path in pictures)
    of_pictures = re.compile(r"^!\[.*\n\n\*.*\n\n", re.M)  # each with its caption
    assert of_pictures.sub("", text) == printed.stdout
    rows = (folder / "out" / "cells.csv").read_text().splitlines()
    assert sum(",macro_f1," in row for row in rows) == 2
    assert tuner("report", "toy-study", "--format", "csv", cwd=folder).stdout.splitlines() == rows


def model_of_best_run(folder: Path, runs: list[Any]) -> None:
    """Load the model that the study kept in one line, as the README says, and use it."""
    import mlflow

    kept = [run for run in children(runs) if run.outputs and run.outputs.model_outputs]
    assert len(kept) == 2  # the best confirm run of each cell
    mlflow.set_tracking_uri(f"sqlite:///{(folder / 'mlruns' / 'mlflow.db').resolve()}")
    try:
        model = mlflow.pyfunc.load_model(f"runs:/{kept[0].info.run_id}/model")
    finally:
        mlflow.set_tracking_uri(None)  # global: it would outlive this test
    answer = model.predict(["red green blue", "a cat and a dog"])
    assert next(iter(answer.columns)) == "label"
    assert len(answer) == 2


@pytest.mark.parametrize(("kind", "moment"), [("inprocess", 0), ("process", 3), ("inprocess", 6)])
def test_a_study_killed_at_any_moment_goes_on_with_nothing_lost_or_doubled(
    tmp_path: Path, kind: str, moment: int
) -> None:
    """Kill -9 of the launcher after so many runs began; then the same command again."""
    write_study(tmp_path, train=QUICK | {"epochs": 6}, executor={"kind": kind, "threads": 1})
    with launched(tmp_path) as launcher:
        wait_until(lambda: begun(tmp_path / "mlruns") >= moment)
        family = psutil.Process(launcher.pid).children(recursive=True)
        launcher.kill()
    wait_until(lambda: not any(map(lives, family)))
    again = tuner("run-study", "study.yaml", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    runs = stored_runs(tmp_path)
    finished = [run for run in children(runs) if run.info.status == "FINISHED"]
    kinds = Counter((r.data.tags["tuner.arm"], r.data.tags["tuner.phase"]) for r in finished)
    assert kinds == {("full", "search"): 2, ("full", "confirm"): 2, ("head", "confirm"): 2}
    assert len({run.data.tags["tuner.digest"] for run in finished}) == 6
    others = [run for run in children(runs) if run not in finished]
    assert {run.info.status for run in others} <= {"KILLED"}
    assert len(others) <= 1
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert Counter(run.info.status for run in parents) == {"FINISHED": 4 + 1}  # and the report


def test_ctrl_c_ends_within_seconds_and_says_how_to_go_on(tmp_path: Path) -> None:
    """Exit code 130, one line, no process left, the run in hand shown as killed."""
    train = QUICK | {"epochs": 5000}
    write_study(tmp_path, train=train, executor={"kind": "process", "workers": 2})
    with launched(tmp_path) as launcher:
        wait_until(lambda: begun(tmp_path / "mlruns") > 0)
        # On a busy machine MLflow may still be loading, for longer than Ctrl-C waits for it.
        wait_until((tmp_path / "mlruns" / "mlflow.db").exists)
        family = psutil.Process(launcher.pid).children(recursive=True)
        launcher.send_signal(signal.SIGINT)
        _, said = launcher.communicate(timeout=20)
    assert launcher.returncode == 130
    *read, line = said.splitlines()
    assert line == "tuner: interrupted; the same command continues where it stopped"
    assert all(words.startswith("toy: ") for words in read), read
    wait_until(lambda: not any(map(lives, family)))
    runs = stored_runs(tmp_path)
    assert {run.info.status for run in runs} == {"KILLED"}
    for run in children(runs):
        assert run.data.tags["tuner.reason"] == "interrupted"


def test_a_failed_run_gives_exit_code_one_and_its_reason(tmp_path: Path) -> None:
    """The others are done, the table is printed, the failure is named."""
    arms = {
        "head": {"method": "head"},
        "wild": {"method": "full", "train": {"learning_rate": 1e30, "max_grad_norm": 0.0}},
    }
    write_study(tmp_path, arms=arms)
    done = tuner("run-study", "study.yaml", cwd=tmp_path)
    assert done.returncode == 1
    line = "failed: toy / tiny-bert / wild, confirm, seed 1: diverged: train/loss is"
    assert line in done.stdout
    assert "not finished" not in done.stdout
    failed = [run for run in children(stored_runs(tmp_path)) if run.info.status == "FAILED"]
    assert len(failed) == 2
    assert failed[0].data.tags["tuner.reason"].startswith("train/loss is")


BAD_COMMANDS = [
    (["run-study", "quikstart"], "no such study 'quikstart'; known studies: "),
    (["run-study", "no/such.yaml"], "no/such.yaml: no such file"),
    (["run-study", "bad-name.yaml"], "name: got '../up'; allowed: letters"),
    (["run-study", "no-data.yaml"], "fetch-data"),
    (["run-study", "study.yaml", "--store", "study.yaml"], "not a folder that can be written to"),
    (["run-study", "study.yaml", "--store", ""], "names a folder or postgresql://"),
    (["run-study", "study.yaml", "--files", "postgresql://a:b@c/d"], "a folder, got postgresql:;"),
    (
        ["run-study", "study.yaml", "--store", "postgresql://"],
        "PostgreSQL on this machine's socket",
    ),
    (["validate", "deep.yaml"], "deep.yaml: nested too deeply"),
    (["validate", "bad-name.yaml"], "got '../up'"),
    (["validate", "low-cap.yaml"], "memory_cap: got 9 kB, less than the weights alone of"),
    (["report", "quickstart"], "no studies here yet"),
    (["report", "study.yaml", "--store", "nowhere"], "no studies here yet"),
    (["ui"], "no studies here yet"),
    (["fetch-data", "retsaurant"], "no such name 'retsaurant'; known tasks: "),
    (["list", "things"], "list: got 'things'; known: studies, methods"),
    (["run-study", "study.yaml", "--timeout", "-1"], "greater than or equal to 0, got '-1'"),
    (["ui", "--port", "99999"], "less than or equal to 65535"),
]


@pytest.mark.parametrize(
    ("words", "says"), BAD_COMMANDS, ids=[" ".join(w) for w, _ in BAD_COMMANDS]
)
def test_the_users_errors_have_exit_code_two_and_no_traceback(
    tmp_path: Path, words: list[str], says: str
) -> None:
    """One line on stderr that says what and what is allowed; nothing is written."""
    write_study(tmp_path)
    (tmp_path / "bad-name.yaml").write_text(yaml.safe_dump(toy_tree(name="../up")))
    (tmp_path / "deep.yaml").write_text(f"name: {'[' * 5000}")
    (tmp_path / "low-cap.yaml").write_text(yaml.safe_dump(toy_tree(memory_cap="9kB")))
    (tmp_path / "no-data.yaml").write_text(yaml.safe_dump(toy_tree(tasks=["acl_sup"])))
    run = tuner if "low-cap.yaml" in words else refused  # its weights are counted by a process
    done = run(*words, cwd=tmp_path, TUNER_DATA_DIR=str(tmp_path / "nothing"))
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("tuner: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "mlruns").exists()


def test_the_version_is_the_installed_one(tmp_path: Path) -> None:
    """Whoever files an issue is asked for it."""
    told = start_anew("--version", cwd=tmp_path)
    assert told.stdout == f"tuner {importlib.metadata.version('tuner-studies')}\n"
    assert told.returncode == 0


def test_every_command_has_help_with_an_example(tmp_path: Path) -> None:
    """And `--help` itself names all of them; `-h` is the same, and completion can be installed."""
    overview = tuner("--help", cwd=tmp_path).stdout
    assert tuner("-h", cwd=tmp_path).stdout == overview
    assert "--install-completion" in overview
    for command in (file.replace("_", "-") for file in COMMANDS):
        assert command in overview
        page = tuner(command, "-h", cwd=tmp_path)
        assert page.returncode == 0
        assert f"Example: tuner {command}" in page.stdout


@pytest.mark.parametrize(
    "noun", ["studies", "methods", "tasks", "models", "executors", "ds-configs", "forms"]
)
def test_lists_name_what_a_study_may_name(tmp_path: Path, noun: str) -> None:
    """One of each kind stands there."""
    listed = tuner("list", noun, cwd=tmp_path)
    example = {
        "studies": "close-the-gap",
        "methods": "bottleneck",
        "tasks": "restaurant_fs",
        "models": "scibert",
        "executors": "inprocess",
        "ds-configs": "zero3-offload",
        "forms": "terminal",
    }[noun]
    assert listed.returncode == 0
    assert example in listed.stdout


def test_the_ui_serves_the_store(tmp_path: Path) -> None:
    """MLflow's own page comes up at 127.0.0.1 and knows the experiment."""
    with desk(tmp_path / "mlruns") as table:
        table.open_study("toy-study")
        table.project()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "tuner", "ui", "--port", str(port)],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    family: list[psutil.Process] = []
    try:
        page = f"http://127.0.0.1:{port}/"
        wait_until(lambda: answers(page), seconds=90)
        client = MlflowClient(tracking_uri=page)
        assert client.get_experiment_by_name("toy-study") is not None
        family = psutil.Process(server.pid).children(recursive=True)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(20)
    wait_until(lambda: not any(map(lives, family)))


def answers(page: str) -> bool:
    """Return whether a page is served."""
    try:
        with urllib.request.urlopen(page, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False
