"""`tuner report`: its options, its files, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import refused
from tests.servers import serve
from tests.specs import toy_study
from tests.starts import tuner
from tuner.study.run import run_study

REFERENCE = (
    "source,task,model,method,seeds,metric,mean,std\npaper,toy,tiny-bert,full,5,accuracy,.5,.1\n"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run two small studies into one store."""
    folder = tmp_path_factory.mktemp("report")
    for name in ("one", "two"):
        study = toy_study(name=name, search={"trials": 1, "seeds": [7], "pruner": "none"})
        run_study(study, store=folder / "mlruns", data_dir=folder / "data")
    (folder / "reference.csv").write_text(REFERENCE)
    (folder / "bad.csv").write_text("a,b\n1,2\n")
    (folder / "a-file").write_text("")
    return folder


def test_all_forms_and_pictures_are_written_to_a_folder(place: Path) -> None:
    """By default; the paths are printed."""
    done = tuner("report", "one", "--output", "all", cwd=place)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (place / "all").iterdir()}
    forms = {f"report.{form}" for form in ("md", "tex", "html", "json")}
    assert names == forms | {"pictures"} | {
        f"{n}.csv" for n in ("cells", "pairs", "runs", "trials", "search")
    }
    assert {f"all/{name}" for name in forms} <= set(done.stdout.splitlines())
    assert "unequal search budgets" in (place / "all" / "report.md").read_text().splitlines()[0]


def test_one_form_goes_to_the_terminal(place: Path) -> None:
    """JSON parses; the question is the one that was asked."""
    words = ("--format", "json", "--metric", "accuracy", "--baseline", "head")
    done = tuner("report", "one", *words, cwd=place)
    content = json.loads(done.stdout)
    assert (content["metric"], content["baseline"]) == ("accuracy", "head")
    assert {pair["arm_b"] for pair in content["pairs"]} == {"head"}


def test_several_studies_are_compared_with_each_other(place: Path) -> None:
    """Arms of one name carry their study's; only the named forms are written."""
    done = tuner("report", "one", "two", "--format", "csv,md", "--output", "both", cwd=place)
    assert done.returncode == 0, done.stderr
    text = (place / "both" / "report.md").read_text()
    assert "full [one] − head [two]" in text  # noqa: RUF001  # a minus sign
    assert not (place / "both" / "report.html").exists()


def test_published_numbers_stand_beside_ours(place: Path) -> None:
    """From a file of the user's."""
    done = tuner("report", "one", "--reference", "reference.csv", cwd=place)
    assert "## Beside published numbers" in done.stdout
    assert (
        "| paper | toy | tiny-bert | full | accuracy | 50.00 ± 10.00 (5) | full |" in done.stdout
    )


def test_the_report_can_be_asked_of_a_server(place: Path) -> None:
    """The same text through a real MLflow server as from the folder, but for its address."""
    with serve(place / "mlruns") as address:
        asked = tuner("report", "two", "--store", address, cwd=place)
    assert asked.returncode == 0, asked.stderr
    own = tuner("report", "two", cwd=place).stdout
    assert asked.stdout == own.replace("http://127.0.0.1:5000", address.rstrip("/"))


def test_a_report_writes_nothing_into_the_store_and_loads_no_mlflow(place: Path) -> None:
    """Not a byte, and no file beside the database; so it is quick."""
    before = {path: path.stat().st_mtime_ns for path in (place / "mlruns").rglob("*")}
    code = (
        "import sys; sys.argv = ['tuner', 'report', 'one', '--format', 'md']\n"
        "from tuner.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('mlflow' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=place, env=os.environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"
    assert {path: path.stat().st_mtime_ns for path in (place / "mlruns").rglob("*")} == before


BAD = [
    (["report"], "Missing argument 'STUDY...'"),
    (["report", "three"], "no such study 'three' in mlruns; studies there: one, two"),
    (["report", "one", "three"], "no such study 'three'"),
    (["report", "quickstart"], "quickstart: not run in mlruns; studies there: one, two"),
    (
        ["report", "one", "--format", "pdf"],
        "--format: no such format, got 'pdf'; known: csv, html, json, md, terminal, tex",
    ),
    (["report", "one", "--format", "md,csv"], "several formats need a folder; add --output DIR"),
    (["report", "one", "--format", ""], "--format: no such format, got ''"),
    (["report", "one", "--output", "a-file"], "--output a-file: is a file; name a folder"),
    (["report", "one", "--output", "a-file/x"], "--output a-file/x: "),
    (["report", "one", "--baseline", "lora"], "--baseline: no such arm 'lora'; known: full, head"),
    (["report", "one", "--metric", "bleu"], "--metric: no run has the test metric 'bleu'"),
    (["report", "one", "--reference", "none"], "no such name, got 'none'; known: published"),
    (
        ["report", "one", "--reference", "no.csv"],
        "--reference: no such file, got 'no.csv'; known: published",
    ),
    (["report", "one", "--reference", "bad.csv"], "bad.csv: no column 'source'; needed: "),
    (["report", "one", "--store", "nowhere"], "--store nowhere: no studies here yet"),
    (["report", "one", "--store", "http://127.0.0.1:9"], "no MLflow server answers there: "),
    (["report", "one", "two", "--definition", "x"], "--definition: goes with one study, got 2"),
    (["report", "one", "--definition", "x"], "--definition: one has none of this id, got 'x'"),
    (["report", "one", "--metric", ""], "--metric: no run has the test metric ''"),
    (["report", "one", "--metric", "majority_accuracy"], "no run has the test metric"),
]


@pytest.mark.parametrize(("words", "says"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_bad_input_is_refused_in_one_line(place: Path, words: list[str], says: str) -> None:
    """What, where, got, allowed."""
    done = refused(*words, cwd=place)
    assert done.returncode == 2, done.stdout
    assert says in done.stderr
    assert done.stderr.startswith("tuner: ")
    assert done.stderr.count("\n") == 1
