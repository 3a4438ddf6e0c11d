"""Every format by its name or as told: JSON in its common shapes, Parquet's kinds of columns."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from trainers.data.load import load_task
from trainers.data.survey import survey_rows
from trainers.errors import DataError
from trainers.tasks.text_file import TextFile

ROWS = [("good", "pos"), ("bad", "neg")]
OBJECTS = [{"text": text, "label": label} for text, label in ROWS]
CONTENTS = {
    "csv": "text,label\ngood,pos\nbad,neg\n",
    "tsv": "text\tlabel\ngood\tpos\nbad\tneg\n",
    "jsonl": "".join(json.dumps(row) + "\n" for row in OBJECTS),
    "json": json.dumps(OBJECTS),
}


def rows(folder: Path, content: bytes, name: str, **settings: Any) -> list[tuple[str, str]]:
    """Return the texts and classes that a task reads from such a file."""
    (folder / name).write_bytes(content)
    corpus = TextFile(train=name, test=name, **settings).read(folder)
    return [(row.text, row.label) for row in corpus.train]


@pytest.mark.parametrize("form", CONTENTS)
def test_the_name_or_the_task_says_the_format(form: str, tmp_path: Path) -> None:
    """Any name will do with a format; .gz is no format but a packing."""
    content = CONTENTS[form].encode()
    packed = gzip.compress(content)
    assert rows(tmp_path, content, f"t.{form}") == ROWS
    assert rows(tmp_path, packed, f"t.{form.upper()}.gz") == ROWS
    for name in ("t", "t.txt", "t.data", "t.v1.2"):
        assert rows(tmp_path, content, name, format=form) == ROWS
    for name in ("t.gz", "t.txt.gz", f"t.{form}"):
        assert rows(tmp_path, packed, name, format=form) == ROWS


@pytest.mark.parametrize("name", ["t", "t.txt", "t.gz", "t.txt.gz", "t.xml"])
def test_a_name_that_says_no_format_asks_for_one(name: str, tmp_path: Path) -> None:
    """The message names the field with the likely value, and the line it shows works."""
    with pytest.raises(DataError, match=r"set format: csv, tsv, jsonl, json or parquet$"):
        rows(tmp_path, b"hello\n", name)
    for form, content in CONTENTS.items():
        for each in (content.encode(), gzip.compress(content.encode()), content.encode("utf-16")):
            with pytest.raises(DataError, match=f"it looks like {form}: set format: {form}$"):
                rows(tmp_path, each, name)
            assert rows(tmp_path, each, name, format=form) == ROWS


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(OBJECTS, indent=1),
        json.dumps({"version": "1", "data": OBJECTS}),
        json.dumps({"text": ["good", "bad"], "label": ["pos", "neg"]}),
        json.dumps({"text": {"0": "good", "1": "bad"}, "label": {"0": "pos", "1": "neg"}}),
        json.dumps({"text": {"0": "good", "1": "bad"}, "label": {"1": "neg", "0": "pos"}}),
        json.dumps({"a": OBJECTS[0], "b": OBJECTS[1]}),
        CONTENTS["jsonl"],
        CONTENTS["jsonl"].replace("\n", "\r\n").strip(),
        "\ufeff" + json.dumps(OBJECTS),
    ],
)
def test_json_reads_in_its_common_shapes(text: str, tmp_path: Path) -> None:
    """Objects in an array, alone or in an object; columns; one object a line."""
    assert rows(tmp_path, text.encode(), "t.json") == ROWS
    if text.strip("\ufeff").startswith("["):
        assert rows(tmp_path, text.encode(), "t.jsonl") == ROWS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[{"text": "a" "label": 1}]',
            "line 1: not JSON: Expecting ',' delimiter at character 15",
        ),
        ('[\n{"text": "a"},\n{"text" 1}]', "line 3: not JSON: "),
        ('[{"text": "a", "label": 1}, {"text": "b"}]', "row 2: no column 'label'; known: text"),
        ('[{"Text": "a", "label": 1}]', "row 1: no column 'text'; .* set text: Text"),
        ('{"Text": ["a"], "label": [1]}', "no column 'text'; .* set text: Text"),
        (
            '{"text": ["a", "b"], "label": [1]}',
            r"got columns of different lengths \(text 2, label 1\)",
        ),
        ('{"train": [{"text": "a"}], "test": [{"text": "b"}]}', "got arrays train, test; allowed"),
        ('[{"text": "a", "label": ["x", "y"]}]', "row 1: label: got .*; allowed: one class a row"),
        ('[{"text": {"en": "a"}, "label": 1}]', "row 1: text: got {'en': 'a'}; allowed: text"),
        ('[{"text": "a", "label": null}]', "row 1: no class in 'label'; fill it in or"),
        ('[{"text": "a", "label": NaN}]', "row 1: no class in 'label'; fill it in or"),
        (
            '{"text": {"0": "a", "1": "b"}, "label": {"0": "x", "2": "y"}}',
            "the rows of 'text' and 'label' have different keys; '1' is in one of the two only",
        ),
        ('{"columns": ["text", "label"], "data": [["a", 1]]}', "no column 'text'; .*array of obj"),
        (
            '{"data": {"rows": [{"text": "a", "label": 1}]}}',
            "no column 'text'; .*array of objects",
        ),
        ('[{"text": "a', "line 1: not JSON: Unterminated string at character 11"),
        (
            '// by me, 2024\n[{"text": "a"}]',
            "line 1: not JSON: got '// by .*; set format if it is",
        ),
        ('["a"]', "row 1: got a text; allowed: an object"),
        ("5", "got a number; allowed: an array of objects, one a row"),
        ("[]", "no rows"),
        ("[" * 100_000, "line 1: .*arrays within arrays"),
        ("text,label\na,b\n", "line 1: not JSON: "),
    ],
)
def test_json_that_is_no_table_is_named(text: str, message: str, tmp_path: Path) -> None:
    """The error says the row or the line, what was got and what may stand there."""
    with pytest.raises(DataError, match=rf"t\.json: {message}"):
        rows(tmp_path, text.encode(), "t.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"text": "a", "label": 1},\n',
            "line 1: unexpected text after the object at character 26",
        ),
        (
            '{"text": "a", "label": 1}{"text"',
            "line 1: unexpected text after the object at character 26",
        ),
        ('\n{\n"text": "a",\n"label": 1\n}\n', "line 2: the object takes several lines"),
    ],
)
def test_lines_that_are_no_objects_of_their_own_are_named(
    text: str, message: str, tmp_path: Path
) -> None:
    """One object a line, and nothing else there."""
    with pytest.raises(DataError, match=rf"t\.jsonl: {message}; allowed: one object a line"):
        rows(tmp_path, text.encode(), "t.jsonl")


def parquet(texts: Any, labels: Any, folder: Path) -> list[tuple[str, str]]:
    """Write two columns, and one more that nobody wants, and read them as a task does."""
    table = pa.table({"text": texts, "label": labels, "more": [[n] for n in range(len(labels))]})
    pyarrow.parquet.write_table(table, folder / "t.parquet")
    corpus = TextFile(train="t.parquet", test="t.parquet").read(folder)
    return [(row.text, row.label) for row in corpus.train]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array(["pos", "neg"]), ["pos", "neg"]),
        (pa.array(["pos", "neg"]).dictionary_encode(), ["pos", "neg"]),
        (pa.array(["pos", "neg"], pa.large_string()), ["pos", "neg"]),
        (pa.array([1, 0], pa.int8()), ["1", "0"]),
        (pa.array([1.0, 0.0]), ["1", "0"]),
        (pa.array([1.0, -0.0], pa.float32()), ["1", "0"]),
        (pa.array([Decimal("1.00"), Decimal("0.00")]), ["1", "0"]),
        (pa.array([True, False]), ["true", "false"]),
    ],
)
def test_parquet_columns_of_every_kind_are_classes(
    labels: pa.Array, expected: list[str], tmp_path: Path
) -> None:
    """Dictionaries, large strings, decimals and whole floats are what they hold."""
    for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        texts = pa.array(["a", "b"]).cast(kind)
        assert parquet(texts, labels, tmp_path) == list(zip("ab", expected, strict=True))


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (["a", "b"], [1.0, None], "row 2: no class in 'label'; fill it in"),
        (["a", "b"], [1.0, float("nan")], "row 2: no class in 'label'; fill it in"),
        (["a", "b"], [1.0, float("inf")], "row 2: label: got inf"),
        (["a", "b"], [b"x", b"y"], "row 1: label: got b'x'; allowed: text or a number"),
        (["a", None], ["x", "y"], "row 2: no text in 'text'; fill it in or take the row out"),
        (["a", "b"], [["x"], ["y", "z"]], r"row 1: label: got \['x'\]; allowed: one class a row"),
        ([b"a", b"b"], [1, 0], "row 1: text: got b'a'; allowed: text"),
        ([1, 2], [1, 0], "row 1: text: got 1; allowed: text"),
    ],
)
def test_parquet_cells_that_are_no_class_or_text_are_named(
    texts: Any, labels: Any, message: str, tmp_path: Path
) -> None:
    """A gap, a list or bytes are refused by their row."""
    with pytest.raises(DataError, match=rf"t\.parquet: {message}"):
        parquet(texts, labels, tmp_path)


def write_numbers(folder: Path, form: str, numbers: list[str]) -> str:
    """Write as many rows with these numbers as classes; return the file's name."""
    texts = [f"text {n}" for n in range(len(numbers))]
    file = folder / f"numbers.{form.partition(' ')[0]}"
    if form.startswith("parquet"):
        kinds = {"float": pa.float32(), "decimal": pa.decimal128(9, 3)}
        kind = kinds.get(form.partition(" ")[2], pa.float64())
        cast = Decimal if kind == kinds["decimal"] else float
        cells = pa.array(map(cast, numbers), kind)
        pyarrow.parquet.write_table(pa.table({"text": texts, "label": cells}), file)
        return file.name
    pairs = list(zip(texts, numbers, strict=True))
    objects = [f'{{"text": "{text}", "label": {number}}}' for text, number in pairs]
    contents = {
        "csv": "".join(f"{text},{number}\n" for text, number in [("text", "label"), *pairs]),
        "json": f"[{', '.join(objects)}]",
        "jsonl": "\n".join(objects),
    }
    file.write_text(contents[form])
    return file.name


FORMS = ["csv", "json", "jsonl", "parquet double", "parquet float", "parquet decimal"]


@pytest.mark.parametrize("form", FORMS)
def test_few_numbers_with_fractions_are_classes_in_every_format(form: str, tmp_path: Path) -> None:
    """They are named as CSV writes them, and said to look like scores."""
    name = write_numbers(tmp_path, form, ["0.1", "1.0", "1.5"] * 8)
    data = load_task(TextFile(name="t", train=name, test=name), tmp_path, 1)
    assert data.labels == ("0.1", "1", "1.5")
    warned = [finding.text for finding in survey_rows(data).findings if finding.warns]
    assert any(
        text.startswith("the classes are numbers with fractions ('0.1', '1', '1.5')")
        for text in warned
    )


@pytest.mark.parametrize("form", FORMS)
def test_many_numbers_with_fractions_are_scores_in_every_format(form: str, tmp_path: Path) -> None:
    """The task is refused, with how many there are, and no row is blamed."""
    name = write_numbers(tmp_path, form, [f"{n}.25" for n in range(6)] * 4)
    task = TextFile(name="t", train=name, test=name)
    with pytest.raises(DataError, match="the classes are 6 different numbers with fractions"):
        load_task(task, tmp_path, 1)
