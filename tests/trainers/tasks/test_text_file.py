"""A user's own files: every format reads alike, and every fault is one line that says where."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import yaml
from pydantic import ValidationError

from trainers.data import TaskData, load_task
from trainers.errors import DataError, MissingData
from trainers.interfaces import Example
from trainers.tasks.text_file import TextFile

ROWS = [
    {"text": 'He said "no", twice', "other": "b", "label": "10"},
    {"text": "two\nlines\u2028and more", "other": "", "label": "9"},
    {"text": "", "other": "é 你", "label": "10"},
    {"text": "last", "other": "d", "label": "9"},
]
NO_CLASS = "no class in 'label'; fill it in or take the row out"
NO_TEXT = "no text in 'text'; fill it in or take the row out"


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows in the format of the suffix."""
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        return
    if path.suffix == ".json":
        text = json.dumps(rows)
    elif path.suffix == ".jsonl":
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


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".json", ".parquet"])
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
        (
            "t.csv",
            b"text,label\ncaf\xe9,a\n",
            "line 2: the byte 0xe9 is not UTF-8; as cp1252 it reads 'caf\xe9,a': set encoding: "
            "cp1252 if that is right",
        ),
        (
            "t.csv",
            b"text,class\nx,a\n",
            "line 1: the header has no column 'label'; known: class, text",
        ),
        (
            "t.csv",
            b"text,label\nx\n",
            "line 2: got 1 cell, the header names 2 (text, label) separated by ','",
        ),
        (
            "t.csv",
            b"text,label\n\nx,a,b\n",
            "line 3: got 3 cells, the header names 2 (text, label) separated by ','; put a text "
            "with ',' in quotation marks",
        ),
        (
            "t.csv",
            b"text,label,text\nx,a,y\n",
            "line 1: two columns are named 'text' (text); rename one",
        ),
        ("t.csv", b"text,label\nx,\n", f"line 2: {NO_CLASS}"),
        ("t.csv", b"text,label\n", "no rows"),
        ("t.csv", b"\n", "the file is empty"),
        (
            "t.jsonl",
            b'{"text": "x"\n',
            "line 1: not JSON: Expecting ',' delimiter at character 13",
        ),
        (
            "t.jsonl",
            b'{"text": "x", "label": "a"}\n\n["x", "a"]\n',
            "line 3: got an array; allowed: an object",
        ),
        ("t.jsonl", b'{"text": null, "label": 1}', f"line 1: {NO_TEXT}"),
        (
            "t.jsonl",
            b'{"text": "x", "label": ["a", "b"]}',
            "line 1: label: got ['a', 'b']; allowed: one class a row, as text or a number",
        ),
        (
            "t.xls",
            b"",
            "the name does not show the format; set format: csv, tsv, jsonl, json or parquet",
        ),
        ("t.parquet", b"", "the file is empty"),
        ("t.parquet", b"text,label\n", "no Parquet file; set format: csv, or to its format"),
        ("t.parquet", b"PAR1xx", "the Parquet file is cut off; copy or download it again"),
        ("t.csv", b'{"text": "x"}', "the file looks like JSON, not csv; set format: jsonl"),
        (
            "t.csv",
            b"te\x1b[31mxt,label\nx,a\n",
            "line 1: the header has no column 'text'; known: label, te\\x1b[31mxt; did you mean "
            "'te\\x1b[31mxt'? set text: \"te\\u001b[31mxt\"",
        ),
        (
            "t.jsonl",
            b'{"text": "x", "label": "a"}\n{"text": "\\ud83d", "label": "a"}',
            "line 2: text: got '\\ud83d'; allowed: valid Unicode, in which half of a surrogate "
            "pair is no character",
        ),
        (
            "t.jsonl",
            b'{"text": "x", "id": 1, "id": 2, "label": "a"}\n{"text": "", "label": 1, "label": 2}',
            "line 2: duplicate key 'label' in one object; leave one out",
        ),
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
    with pytest.raises(DataError) as caught:
        load(tmp_path, train=name, test=name)
    assert not isinstance(caught.value, MissingData)  # nothing downloads it
    said = str(caught.value)
    assert said.startswith(f"mine: train: {name}: no such file in {Path.cwd()} or {tmp_path}; ")
    assert "--data-dir or TUNER_DATA_DIR" in said


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("trian.csv", "did you mean train.csv?"),
        ("train", "did you mean train.csv?"),
        ("Train.CSV", "did you mean train.csv?"),
        ("data/trains.csv", "did you mean data/train.csv?"),
        ("*.csv", "patterns are not expanded: name one file"),
        (
            "https://example.org/t.csv",
            "addresses are not downloaded: download the file",
        ),
        ("link.csv", "a link to nowhere.csv, which does not exist"),
    ],
)
def test_a_missing_file_is_said_with_the_likely_reason(
    name: str, hint: str, tmp_path: Path
) -> None:
    """A misspelt name, a pattern, an address and a link without its file are distinguished."""
    (tmp_path / "data").mkdir()
    for path in ("train.csv", "data/train.csv", "other.md"):
        (tmp_path / path).write_text("text,label\na,x\n")
    (tmp_path / "link.csv").symlink_to("nowhere.csv")
    with pytest.raises(DataError, match=re.escape(hint)):
        TextFile(train=name, test=name).read(tmp_path)


@pytest.mark.parametrize("name", ["loop", "loops", f"{'a' * 300}.csv", "dir.csv/a.csv", "a\0b"])
def test_no_name_of_a_missing_file_breaks_the_search_for_the_reason(
    name: str, tmp_path: Path
) -> None:
    """Links in a circle, names that are too long, folders that are files."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dir.csv").write_text("")
    with pytest.raises(DataError, match="no such file"):
        TextFile(train=name, test=name).read(tmp_path)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe that nobody writes to would keep the reader forever."""
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"t\.csv: no file, but a pipe or a device; save its"):
        TextFile(train="t.csv", test="t.csv").read(tmp_path)


def test_a_class_that_only_test_has_is_refused(tmp_path: Path) -> None:
    """A model can not be right about a class it never saw."""
    write(tmp_path / "train.csv", [{"text": f"{n}", "label": "ab"[n % 2]} for n in range(10)])
    write(tmp_path / "test.csv", [{"text": "x", "label": "c"}])
    with pytest.raises(DataError, match=r"^mine: test: row 'test-1': class 'c' is not in train"):
        load(tmp_path, train="train.csv", test="test.csv")


def test_numbers_are_one_class_in_every_format_and_split(tmp_path: Path) -> None:
    """`1`, `1.0` and 1.0 are the class 1; classes that are numbers stand by their value."""
    (tmp_path / "train.csv").write_text("text,label\n" + "a,1.0\nb,10\nc,9.5\nd,-2\ne,1\n" * 3)
    write(tmp_path / "validation.jsonl", [{"text": "v", "label": 1.0}, {"text": "w", "label": 10}])
    write(tmp_path / "test.parquet", [{"text": "t", "label": 1.0}, {"text": "u", "label": -2.0}])
    data = load(tmp_path, train="train.csv", validation="validation.jsonl", test="test.parquet")
    assert data.labels == ("-2", "1", "9.5", "10")
    assert [row.label for row in (*data.validation, *data.test)] == ["1", "10", "1", "-2"]


def test_words_that_programs_take_for_gaps_or_truths_stay_words(tmp_path: Path) -> None:
    """A text or a class of a text file is what stands in the file."""
    words = ["null", "NA", "nan", "None", "true", "01", "1e3"]
    lines = "".join(f"{word},{word}\n" for word in words)
    (tmp_path / "t.csv").write_text("text,label\n" + lines)
    rows = TextFile(train="t.csv", test="t.csv").read(tmp_path).train
    assert [(row.text, row.label) for row in rows] == [(word, word) for word in words]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"delimiter": ""}, "delimiter.*got ''; allowed: one character or more, in quotes"),
        ({"delimiter": "|\n|"}, "delimiter.*allowed: one character"),
        ({"delimiter": {"trian": ","}}, "no such field; known: test, train, validation"),
        ({"delimiter": {"validation": ","}}, "validation: the task names no validation file"),
        ({"encoding": {"test": "utf-9"}}, "test: got 'utf-9'; allowed: a text encoding"),
        ({"encoding": {"test": 8}}, "test: got 8; allowed: a text; put it in quotes"),
        ({"delimiter": '"'}, "delimiter.*allowed: one character"),
        ({"encoding": "utf-9"}, "got 'utf-9'; allowed: a text encoding, such as utf-8"),
        ({"encoding": "base64"}, "got 'base64'; allowed: a text encoding"),
        ({"format": "xml"}, "'csv', 'tsv', 'jsonl', 'json' or 'parquet'"),
        ({"quoting": "yes"}, "'cells' or 'none'"),
        ({"format": "jsonl", "delimiter": ";"}, "delimiter: got ';' with format: jsonl"),
        ({"format": "parquet", "encoding": "cp1252"}, "encoding: got 'cp1252' with format: parq"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(settings: dict[str, Any], message: str) -> None:
    """It is said before any file is read."""
    with pytest.raises(ValidationError, match=f"(?s){message}"):
        TextFile(train="t.csv", test="t.csv", **settings)


def test_a_delimiter_may_be_written_as_people_write_it() -> None:
    r"""YAML's plain \t is two characters; the spellings of a delimiter are one setting."""
    for meant, spellings in {
        "\t": ("\t", "\\t", "\\x09", "tab"),
        "\x01": ("\x01", "\\x01", "\\u0001", "\\001"),
        "\\": ("\\", "\\\\"),
        "|": ("|", "pipe"),
        "\t\t": ("\\t\\t",),
    }.items():
        tasks = [TextFile(train="t", test="t", delimiter=each) for each in spellings]
        assert {task.delimiter for task in tasks} == {meant}


def test_a_setting_for_all_files_passes_over_those_that_have_no_use_for_it(tmp_path: Path) -> None:
    """One delimiter goes with a CSV file beside one of JSON; by split it is refused there."""
    (tmp_path / "train.txt").write_bytes(LINES["^"])
    (tmp_path / "test.txt").write_bytes(LINES["jsonl"])
    files = {"train": "train.txt", "test": "test.txt", "format": {"train": "csv", "test": "jsonl"}}
    task = TextFile.model_validate({**files, "delimiter": "^"})
    assert [row.label for row in task.read(tmp_path).test] == ["pos", "neg"]
    with pytest.raises(ValidationError, match=r"delimiter: got '\^' with format: jsonl"):
        TextFile.model_validate({**files, "delimiter": {"train": "^", "test": "^"}})


LINES = {
    "^": b"text^label\ngood^pos\nbad^neg\n",
    ";": b"text;label\ngood;pos\nbad;neg\n",
    "cp1252": "text,label\n“café”,pos\nnaïve bad thing,neg\n".encode("cp1252"),
    "utf-8": "text,label\n“café”,pos\nnaïve bad thing,neg\n".encode(),
    "utf-16": "text,label\n“café”,pos\nnaïve bad thing,neg\n".encode("utf-16-le"),
    "ascii": b"text,label\ngood,pos\nbad,neg\n",
    "csv": b"text,label\ngood,pos\nbad,neg\n",
    "jsonl": b'{"text": "good", "label": "pos"}\n{"text": "bad", "label": "neg"}\n',
    "marks": b'text,label\n"good,pos\nbad,neg\n',
    "cells": b'text,label\n"good, so",pos\nbad,neg\n',
}


VALUES = {"marks": "none", "utf-16": "utf-16-le"}


@pytest.mark.parametrize(
    ("train", "test", "field", "line"),
    [
        ("^", ";", "delimiter", "{train: '^'}"),
        (";", "^", "delimiter", "{test: '^'}"),
        ("^", "^", "delimiter", "'^'"),
        ("cp1252", "cp1252", "encoding", "cp1252"),
        ("cp1252", "ascii", "encoding", "cp1252"),
        ("cp1252", "utf-8", "encoding", "{train: cp1252}"),
        ("utf-8", "cp1252", "encoding", "{test: cp1252}"),
        ("utf-16", "cp1252", "encoding", "{train: utf-16-le, test: cp1252}"),
        ("csv", "jsonl", "format", "{train: csv, test: jsonl}"),
        ("jsonl", "csv", "format", "{train: jsonl, test: csv}"),
        ("marks", "cells", "quoting", "{train: none}"),
    ],
)
@pytest.mark.parametrize("first", [None, "of train", "of test", "wrong"])
def test_files_that_are_written_differently_are_told_apart(
    train: str, test: str, field: str, line: str, first: str | None, tmp_path: Path
) -> None:
    """Whatever the study says first, the line that the message says to write has them read."""
    suffix = ".txt" if field == "format" else ".csv"
    (tmp_path / f"train{suffix}").write_bytes(LINES[train])
    (tmp_path / f"test{suffix}").write_bytes(LINES[test])
    wrong = {"delimiter": "~", "encoding": "utf-16-be", "format": "parquet", "quoting": "none"}
    right = {"of train": train, "of test": test, "wrong": wrong[field]}
    value: object = first and VALUES.get(right[first], right[first])
    said: list[str] = []
    while len(said) < 3:
        files = {"train": f"train{suffix}", "test": f"test{suffix}"}
        task = TextFile.model_validate(files | ({} if value is None else {field: value}))
        try:
            task.read(tmp_path)
            break
        except DataError as error:
            said.append(str(error))
        written = re.search(rf"set ({field}: ({{.*}}|'.*?'|[a-z0-9-]+))", said[-1])
        assert written or f"leave {field} out" in said[-1]
        value = yaml.safe_load(written[1])[field] if written else None
    assert len(said) < 3, said
    if first is None:
        assert f"set {field}: {line}" in said[-1]
        assert len(said) == 1 or field == "format"


def test_unset_fields_leave_the_identity_of_earlier_runs_alone() -> None:
    """A study without format, delimiter, encoding and quoting continues with its runs."""
    fields = {"format", "delimiter", "encoding", "quoting"}
    assert not fields & set(TextFile(train="t", test="t").model_dump(mode="json"))
    told = TextFile(train="t", test="t", encoding={"test": "cp1252"}, quoting="none")
    assert TextFile.model_validate(told.model_dump(mode="json")) == told
