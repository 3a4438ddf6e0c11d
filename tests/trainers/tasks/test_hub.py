"""Hub data sets, read by the real library from a folder in the Hub's own layout."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pyarrow.json
import pyarrow.parquet
import pytest

from trainers.data import load_task
from trainers.errors import DataError
from trainers.tasks.hub import HubTask

CARD = """---
dataset_info:
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': worst
          '1': best
---
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a data set of 40 training and 8 test rows, and keep its cache here."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    write(tmp_path / "set" / "train.jsonl", [{"text": f"t{n}", "label": n % 2} for n in range(40)])
    write(tmp_path / "set" / "test.jsonl", [{"text": f"s{n}", "label": n % 2} for n in range(8)])
    return tmp_path / "set"


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write JSON lines."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_declared_class_names_are_the_labels(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Class numbers get the data set's own names, in its order; nothing is printed."""
    (folder / "README.md").write_text(CARD)
    data = load_task(HubTask(id=str(folder)), tmp_path, 2022)
    assert data.labels == ("worst", "best")
    assert [(row.text, row.label) for row in data.test[:2]] == [("s0", "worst"), ("s1", "best")]
    assert (len(data.train), len(data.validation)) == (36, 4)
    assert capfd.readouterr().err == ""


def test_columns_and_splits_are_named_by_the_user(folder: Path, tmp_path: Path) -> None:
    """Any text columns, any class column, any splits."""
    rows = [{"q": f"q{n}", "a": f"a{n}", "gold": ["no", "yes"][n % 2]} for n in range(6)]
    for split in ("train", "validation", "test"):
        write(folder / f"{split}.jsonl", rows)
    columns = {"text": "q", "text_pair": "a", "label": "gold", "validation": "validation"}
    data = load_task(HubTask.model_validate({"id": str(folder), **columns}), tmp_path, 2022)
    assert data.labels == ("no", "yes")
    assert [(row.text, row.pair, row.label) for row in data.train[:1]] == [("q0", "a0", "no")]
    assert len(data.validation) == 6


def test_the_same_split_may_not_serve_twice(folder: Path, tmp_path: Path) -> None:
    """Validation that is test would be selection on test."""
    with pytest.raises(DataError, match="already in"):
        load_task(HubTask(id=str(folder), validation="test"), tmp_path, 2022)


def test_hidden_test_labels_are_refused(folder: Path, tmp_path: Path) -> None:
    """Benchmarks with secret labels write -1."""
    (folder / "README.md").write_text(CARD)
    write(folder / "test.jsonl", [{"text": "x", "label": -1}])
    with pytest.raises(DataError, match=r"^hub: test: .*line 1: label: got -1; .* secret"):
        load_task(HubTask(id=str(folder)), tmp_path, 2022)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test": "tset"}, r"^hub: tset: .* has no such split; known: test, train$"),
        (
            {"text": "txt"},
            r"^hub: train: .*no column 'txt'; known: label, text; .* set text: text$",
        ),
        ({"config": "other"}, r"^hub: cannot load data set .*other"),
        ({"id": "/nowhere/at/all"}, r"^hub: id: /nowhere/at/all: no such folder$"),
    ],
)
def test_a_wrong_setting_is_one_line(
    settings: dict[str, str], message: str, folder: Path, tmp_path: Path
) -> None:
    """The error names what was asked, and what there is."""
    with pytest.raises(DataError, match=message) as caught:
        load_task(HubTask.model_validate({"id": str(folder), **settings}), tmp_path, 2022)
    assert "\n" not in str(caught.value)


def read(folder: Path, **settings: str) -> list[tuple[str, str, str]]:
    """Return ids, texts and classes of the training rows."""
    rows = HubTask(id=str(folder), **settings).read(folder).train  # type: ignore[arg-type]
    return [(row.id, row.text, row.label) for row in rows]


def test_a_field_that_it_lacks_is_said_to_be_that_of_another_kind(folder: Path) -> None:
    """The step that is named works."""
    write_csv(folder, "text,label\ncaf,a\nx,b\n")
    (folder / "train.csv").write_bytes("text,label\ncafé au lait,a\nx,b\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"set encoding: cp1252 .*with kind: text_file"):
        read(folder)
    for split in ("train", "test"):
        (folder / f"{split}.csv").write_text("text^label\na^x\n")
    with pytest.raises(DataError, match=r"set delimiter: '\^', with kind: text_file, which names"):
        read(folder)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (
            "train.csv",
            "test.jsonl",
            r"the splits are in different formats \(train csv, test json\)",
        ),
        ("train.csv", "test.parquet", r"different formats \(train csv, test parquet\); name the "),
    ],
)
def test_a_folder_of_several_formats_is_said_to_be_one(
    train: str, test: str, message: str, folder: Path
) -> None:
    """The other kind, which reads each file as what it is, is named."""
    for path in folder.iterdir():
        path.unlink()
    (folder / train).write_text("text,label\na,x\n")
    (folder / test).write_text('{"text": "a", "label": "x"}\n')
    with pytest.raises(DataError, match=f"{message}.*kind: text_file") as caught:
        read(folder)
    assert "NamedSplit" not in str(caught.value)


def write_csv(folder: Path, lines: str, suffix: str = "csv") -> None:
    """Write a folder of two splits with the same rows."""
    for path in folder.glob("*.jsonl"):
        path.unlink()
    for split in ("train", "test"):
        (folder / f"{split}.{suffix}").write_text(lines)


def test_cells_of_csv_stay_as_they_are(folder: Path) -> None:
    """Words that pandas takes for numbers, truths or gaps are texts and classes."""
    write_csv(folder, "text,label\nNA,01\nnull,true\n,1.0\n123,None\n")
    assert read(folder) == [
        ("train-1", "NA", "01"),
        ("train-2", "null", "true"),
        ("train-3", "", "1"),
        ("train-4", "123", "None"),
    ]


def test_a_quotation_mark_takes_in_no_rows(folder: Path) -> None:
    """A folder's TSV reads as a text file's does."""
    write_csv(folder, 'text\tlabel\n"Nice" x\tpos\n"b\tneg\nc"\tneg\n', "tsv")
    assert [row[1:] for row in read(folder)] == [('"Nice" x', "pos"), ('"b', "neg"), ('c"', "neg")]


def test_declared_classes_of_csv_may_stand_as_number_or_name(folder: Path) -> None:
    """The card's names hold for CSV files too."""
    (folder / "README.md").write_text(CARD)
    write_csv(folder, "text,label\na,0\nb,1.0\nc,best\n")
    assert [row[2] for row in read(folder)] == ["worst", "best", "best"]
    write_csv(folder, "text,label\na,0\nb,2\n")
    with pytest.raises(DataError, match=r"line 3: label: got '2'; allowed: best, worst$"):
        read(folder)


def test_a_card_may_say_how_csv_is_separated(folder: Path) -> None:
    """What the card tells the library, the reader knows; files of a split stand in order."""
    config = "config_name: default\n  sep: '|'\n  data_files:\n"
    files = "".join(f"  - split: {s}\n    path: {s}*.csv\n" for s in ("train", "test"))
    (folder / "README.md").write_text(f"---\nconfigs:\n- {config}{files}---\n")
    write_csv(folder, "text|label\na,b|01\n")
    (folder / "train2.csv").write_text("text|label\nc|02\n")
    assert read(folder) == [("train-1", "a,b", "01"), ("train-2", "c", "02")]


def test_words_of_json_that_look_like_dates_stay_words(folder: Path) -> None:
    """A text or a class of a local folder is what stands in the file."""
    write(folder / "train.jsonl", [{"text": "2020-01-01", "label": "2020-01-02 00:00:00"}])
    assert read(folder) == [("train-1", "2020-01-01", "2020-01-02 00:00:00")]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet", "jsonl.gz"])
def test_an_edited_folder_is_read_anew(suffix: str, folder: Path) -> None:
    """Even if size and time of the file stay; nothing is left in the library's cache."""
    path = folder / f"train.{suffix}"
    if suffix == "csv":
        write_csv(folder, "text,label\nt0,0\nt1,1\n")
    if suffix == "parquet":
        for jsonl in folder.glob("*.jsonl"):
            pyarrow.parquet.write_table(
                pyarrow.json.read_json(jsonl), jsonl.with_suffix(".parquet"), compression="none"
            )
            jsonl.unlink()
    if suffix == "jsonl.gz":
        path.write_bytes(gzip.compress((folder / "train.jsonl").read_bytes()))
        (folder / "train.jsonl").unlink()
    before, times = read(folder), path.stat()
    if suffix == "jsonl.gz":
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b"t1", b"t2")))
    path.write_bytes(path.read_bytes().replace(b"t1", b"t2"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert before[1] == ("train-2", "t1", "1")
    assert read(folder)[1] == ("train-2", "t2", "1")
    assert list((folder.parent / "cache").iterdir()) == []


@pytest.mark.parametrize(("card", "empty"), [("", None), ("", ""), ("", " "), (CARD, None)])
def test_a_column_without_any_class_is_one_fault_of_the_column(
    card: str, empty: str | None, folder: Path, tmp_path: Path
) -> None:
    """Rows would be mended one by one; a single gap is still named by its row."""
    (folder / "README.md").write_text(card)
    write(folder / "test.jsonl", [{"text": f"s{n}", "label": empty} for n in range(8)])
    with pytest.raises(DataError, match=r"test\.jsonl: label: empty in all 8 rows; allowed: a cl"):
        load_task(HubTask(id=str(folder)), tmp_path, 2022)
    write(folder / "test.jsonl", [{"text": "s", "label": 1}, {"text": "s", "label": empty}])
    with pytest.raises(DataError, match=r"test\.jsonl: line 2: no class in 'label'; fill"):
        load_task(HubTask(id=str(folder)), tmp_path, 2022)
