"""`tuner plan` as a user meets it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.commands import refused
from tests.specs import QUICK, toy_tree
from tests.starts import tuner
from tuner.cli.plan import duration, estimate_lines, size
from tuner.forecast.time import Estimate


def tuner_plan(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, away from any data."""
    return tuner("plan", *words, cwd=cwd, COLUMNS="100", TUNER_DATA_DIR=str(cwd / "data"))


def write(folder: Path, name: str = "study.yaml", **changes: Any) -> None:
    """Write the toy study as YAML."""
    (folder / name).write_text(yaml.safe_dump(toy_tree(**changes)))


def test_the_numbers_for_people_are_those_of_the_json(tmp_path: Path) -> None:
    """Printed from the same estimate, which reads back from its own JSON."""
    write(tmp_path)
    arguments = ("study.yaml", "--no-probe", "--detect", "0.05", "--spread", "0.02")
    shown, raw = (
        tuner_plan(*words, cwd=tmp_path) for words in (arguments, (*arguments, "--json"))
    )
    assert (shown.returncode, raw.returncode) == (0, 0)
    assert shown.stderr == raw.stderr == ""
    found = Estimate.model_validate_json(raw.stdout)
    assert list(estimate_lines(found)) == shown.stdout.splitlines()
    assert (found.seeds.difference, found.seeds.given_std) == (0.05, 0.02)
    assert "toy-study: 1 task x 1 model x 2 arms = 2 cells" in shown.stdout
    assert "all runs              6        0        6" in shown.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


def test_a_probe_in_processes_of_its_own_tells_the_time(tmp_path: Path) -> None:
    """The executor that studies use by default, two probes at once; nothing is left behind."""
    write(tmp_path, executor={"kind": "process", "workers": 2, "threads": 1})
    done = tuner_plan("study.yaml", "--probe-seconds", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "from a measured probe of each cell, 2 runs at once" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


BAD = [
    (["quikstart"], "no such study 'quikstart'; known studies: "),
    (["no/such.yaml"], "no/such.yaml: no such file"),
    (["broken.yaml"], "broken.yaml: "),
    (["wrong.yaml"], "train.epochs: input should be greater than or equal to 1, got 0"),
    (["no-data.yaml"], "fetch-data"),
    (["study.yaml", "--detect", "0"], "--detect: got 0.0; allowed: a number above 0"),
    (["study.yaml", "--detect", "-0.01"], "--detect: got -0.01; allowed: a number above 0"),
    (["study.yaml", "--detect", "1"], "so one point is 0.01; got 1"),
    (["study.yaml", "--detect", "much"], "valid number"),
    (["study.yaml", "--detect", "nan"], "--detect: got nan; allowed: a number above 0"),
    (["study.yaml", "--spread", "-1"], "--spread: got -1.0; allowed: a number above 0"),
    (
        ["study.yaml", "--probe-seconds", "0"],
        "--probe-seconds: got 0.0; allowed: a number above 0",
    ),
    (["study.yaml", "--store", "study.yaml"], "--store study.yaml: not a folder"),
    (["study.yaml", "--store", "torn"], "torn/tuner.db: not readable: file is not a database"),
    (["study.yaml", "--store", "http://127.0.0.1:5000"], "a study is kept in a folder"),
]


@pytest.mark.parametrize(("words", "says"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_what_cannot_be_meant_is_said_in_one_line(
    tmp_path: Path, words: list[str], says: str
) -> None:
    """Exit code 2, no traceback, no store."""
    write(tmp_path)
    write(tmp_path, "no-data.yaml", tasks=["acl_sup"])
    write(tmp_path, "wrong.yaml", train=QUICK | {"epochs": 0})
    (tmp_path / "broken.yaml").write_text("name: [")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "tuner.db").write_text("no database")
    done = refused("plan", *words, cwd=tmp_path, TUNER_DATA_DIR=str(tmp_path / "data"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("tuner: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (2.34, "2.3 s"),
        (59.6, "1 min"),
        (130, "2 min 10 s"),
        (599, "10 min"),
        (1500, "25 min"),
        (3599, "1 h"),
        (7800, "2 h 10 min"),
        (36_300, "10 h"),
        (259_200, "3.0 days"),
    ],
)
def test_durations_are_said_with_the_digits_that_matter(seconds: float, said: str) -> None:
    """Two units at most."""
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_400_000, "2.4 MB"), (999_900, "1 MB")],
)
def test_sizes_are_said_in_short_numbers(count: float, said: str) -> None:
    """Decimal units."""
    assert size(count) == said
