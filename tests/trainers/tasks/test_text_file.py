"""A user's own files: every format reads alike, and every fault is one line that says where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from trainers.bases import Example
from trainers.errors import DataError, MissingData
from trainers.tasks.load import TaskData, load_task
from trainers.tasks.text_file import TextFile

ROWS = [
    {"text": 'He said "no", twice', "other": "b", "label": "10"},
    {"text": "two\nlines\u2028and more", "other": "", "label": "9"},
    {"text": "", "other": "é 你", "label": "10"},
    {"text": "last", "other": "d", "label": "9"},
]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows in the format of the suffix."""
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        return
    if path.suffix == ".jsonl":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        delimiter = "," if path.suffix == ".csv" else "\t"
        lines = [list(rows[0]), *(list(row.values()) for row in rows)]
        cells = [['"' + cell.replace('"', '""') + '"' for cell in line] for line in lines]
        text = "".join(delimiter.join(line) + "\n" for line in cells)
    path.write_text(text, encoding="utf-8", newline="")


def load(folder: Path, **settings: Any) -> TaskData:
    """Load a task of files."""
    return load_task(TextFile.model_validate({"name": "mine", **settings}), folder, 2022)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_rows(suffix: str, tmp_path: Path) -> None:
    """Quotes, line ends, empty cells and any script survive each format."""
    for split in ("train", "validation", "test"):
        write(tmp_path / f"{split}{suffix}", ROWS)
    files = {split: f"{split}{suffix}" for split in ("train", "validation", "test")}
    data = load(tmp_path, **files, text_pair="other")
    assert data.labels == ("9", "10")
    assert data.validation == tuple(
        Example(f"validation-{n}", str(row["text"]), str(row["other"]), str(row["label"]))
        for n, row in enumerate(ROWS, start=1)
    )


def test_whole_numbers_are_classes_and_paths_may_be_absolute(tmp_path: Path) -> None:
    """JSON's 0 and 1 are the classes "0" and "1"."""
    rows = [{"sentence": f"row {n}", "gold": n % 2} for n in range(20)]
    write(tmp_path / "all.jsonl", rows)
    path = str(tmp_path / "all.jsonl")
    data = load(Path("/nowhere"), train=path, test=path, text="sentence", label="gold")
    assert data.labels == ("0", "1")
    assert (len(data.train), len(data.validation), len(data.test)) == (18, 2, 20)


def test_a_byte_order_mark_is_not_part_of_the_first_column(tmp_path: Path) -> None:
    """Files saved by spreadsheets read as well."""
    lines = "".join(f"row {n},{'ab'[n % 2]}\n" for n in range(10))
    (tmp_path / "all.csv").write_text("text,label\n" + lines, encoding="utf-8-sig")
    assert load(tmp_path, train="all.csv", test="all.csv").labels == ("a", "b")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"text,label\ncaf\xe9,a\n", "not UTF-8 at byte 14 (0xe9); save it as UTF-8"),
        ("t.csv", b"text,class\nx,a\n", "row 1: no column 'label'; known: class, text"),
        ("t.csv", b"text,label\nx\n", "row 1: got 1 cells, the header names 2"),
        ("t.csv", b"text,label\nx,a,b\n", "row 1: got 3 cells, the header names 2"),
        ("t.csv", b"text,text\nx,a\n", "line 1: a column name stands twice: text, text"),
        ("t.csv", b'text,label\n"x"y,a\n', "line 2: ',' expected after '\"'"),
        ("t.csv", b"text,label\nx,\n", "row 1: label: got ''; allowed: text or a whole number"),
        ("t.jsonl", b'{"text": "x"\n', "line 1: not JSON: Expecting ',' delimiter"),
        ("t.jsonl", b'\n["x", "a"]\n', "line 2: got list; allowed: an object"),
        ("t.jsonl", b'{"text": null, "label": 1}', "row 1: text: got None; allowed: text"),
        (
            "t.jsonl",
            b'{"text": "x", "label": 0.5}',
            "row 1: label: got 0.5; allowed: text or a whole number",
        ),
        ("t.xls", b"", "cannot read '.xls' files; known: .csv, .jsonl, .ndjson, .parquet, .tsv"),
        ("t.parquet", b"", "Parquet file size is 0 bytes"),
    ],
)
def test_a_faulty_file_is_one_line(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    """The error says the file, the place, what stands there and what may."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        load(tmp_path, train=name, test=name)
    assert str(caught.value) == f"{tmp_path / name}: {message}"


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_missing_file_is_one_line(name: str, tmp_path: Path) -> None:
    """Every folder that was looked in is named; here the working one is the study's."""
    with pytest.raises(MissingData) as caught:
        load(tmp_path, train=name, test=name)
    said = str(caught.value)
    assert said.startswith(f"mine: train: {name}: no such file in {Path.cwd()} or {tmp_path}; ")
    assert "--data-dir or TUNER_DATA_DIR" in said


def test_an_empty_file_is_an_empty_split(tmp_path: Path) -> None:
    """No rows is not the same fault as a missing column."""
    (tmp_path / "t.csv").write_text("")
    with pytest.raises(DataError, match=r"^mine: train: no rows"):
        load(tmp_path, train="t.csv", test="t.csv")


def test_a_class_that_only_test_has_is_refused(tmp_path: Path) -> None:
    """A model can not be right about a class it never saw."""
    write(tmp_path / "train.csv", [{"text": f"{n}", "label": "ab"[n % 2]} for n in range(10)])
    write(tmp_path / "test.csv", [{"text": "x", "label": "c"}])
    with pytest.raises(DataError, match=r"^mine: test: row 'test-1': class 'c' is not in train"):
        load(tmp_path, train="train.csv", test="test.csv")
