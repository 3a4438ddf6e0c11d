"""What a study's data hold is printed at the start and kept with every run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.starts import tuner
from tests.tuner.cli.test_cli import children, stored_runs, write_study

NOISE = "the of food it and to in for with on as by at from this that"


def write_task(folder: Path, *, of_train: int = 24, of_test: int = 15) -> dict[str, Any]:
    """Write texts whose class word stands behind more tokens than a row keeps."""
    for split, count in (("train", of_train), ("test", of_test)):
        rows = [
            f"{NOISE} {split} {('best', 'worst')[n % 2]} {n},{'pn'[n % 2]}" for n in range(count)
        ]
        (folder / f"{split}.csv").write_text("\n".join(["text,label", *rows]))
    return {"kind": "text_file", "name": "t", "train": "train.csv", "test": "test.csv"}


def test_cut_texts_are_said_at_the_start_and_in_every_run(tmp_path: Path) -> None:
    """On standard error with numbers of rows and the longest; in the tags of each run."""
    task = write_task(tmp_path) | {"validation_size": 4}
    train = {"epochs": 1, "max_length": 8, "precision": "fp32"}
    arms = {"head": {"method": "head"}}
    write_study(tmp_path, tasks=[task], train=train, arms=arms, confirm={"seeds": [1]})
    done = tuner("run-study", "study.yaml", "--data-dir", ".", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    read, cut = done.stderr.splitlines()
    assert read.startswith("t: 20 train, 4 validation, 15 test rows; 2 classes (train/validation/")
    assert cut.startswith("warning: t: max_length: 8 cuts 20 of 20 training rows; the longest")
    assert done.stdout.index("Doubtful data: max_length: 8 cuts") < done.stdout.index("trained")
    (run,) = children(stored_runs(tmp_path))
    tags = {name.removeprefix("tuner.fact."): value for name, value in run.data.tags.items()}
    assert cut.endswith(tags["warning.cut.8"])
    assert read.endswith(tags["read.rows"])
    assert (tags["cut.train"], tags["cut.test"], tags["empty.train"]) == ("20", "15", "0")
    assert int(tags["tokens.longest.train"]) > 8


@pytest.mark.parametrize("command", ["run-study", "plan"])
def test_data_that_cannot_be_right_are_refused_and_nothing_is_written(
    tmp_path: Path, command: str
) -> None:
    """A class for every row: one line, exit 2, no store."""
    task = write_task(tmp_path) | {"label": "text", "text": "label"}
    write_study(tmp_path, tasks=[task])
    before = sorted(tmp_path.iterdir())
    done = tuner(command, "study.yaml", "--data-dir", ".", cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("tuner: t: train: 24 rows have 24 different classes of ")
    assert line.endswith("these are texts; name the column of the classes with `label`")
    assert sorted(tmp_path.iterdir()) == before


def test_validate_says_what_was_read(tmp_path: Path) -> None:
    """The same lines as at the start of the study, on standard error; without data, none."""
    task = write_task(tmp_path) | {"validation_size": 4}
    write_study(tmp_path, tasks=[task], train={"max_length": 8})
    done = tuner("validate", "study.yaml", "--data-dir", ".", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    read, cut, *_ = done.stderr.splitlines()
    assert read.startswith("t: 20 train, 4 validation, 15 test rows; 2 classes ")
    assert cut.startswith("warning: t: max_length: 8 cuts 20 of 20 training rows; the longest has")
    assert done.stdout.startswith("study.yaml: good. ")
    assert "rows;" not in tuner("validate", "study.yaml", "--no-data", cwd=tmp_path).stderr
