"""Read the rows of a text file, CSV, TSV, JSON lines or Parquet, with errors that say where."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from trainers.bases import Example
from trainers.errors import DataError, known

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Columns:
    """Names of the columns that hold an example."""

    text: str
    pair: str | None
    label: str


def read_text(path: Path) -> str:
    """Read a UTF-8 file, without its byte order mark.

    Raises:
        DataError: The file is missing, unreadable or not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        byte = content[error.start]
        raise DataError(
            f"{path}: not UTF-8 at byte {error.start} (0x{byte:02x}); save it as UTF-8"
        ) from None
    return text.removeprefix("\ufeff")


def read_rows(path: Path) -> list[Row]:
    """Read a table by the suffix of its file name.

    Raises:
        DataError: Unknown suffix, or a file that does not read as what its suffix says.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: cannot read {path.suffix!r} files; known: {known(_READERS)}")
    return reader(path)


def read_csv_lines(path: Path, *, delimiter: str = ",") -> list[list[str]]:
    """Read a CSV file's lines, header included if it has one.

    Raises:
        DataError: Not UTF-8, or not CSV.
    """
    # newline="": line ends inside quotes belong to the text.
    lines = csv.reader(StringIO(read_text(path), newline=""), delimiter=delimiter, strict=True)
    try:
        return [line for line in lines if line]
    except csv.Error as error:
        raise DataError(f"{path}: line {lines.line_num}: {error}") from None


def examples(rows: Iterable[Row], columns: Columns, *, where: str, split: str) -> list[Example]:
    """Make examples of a table's rows; their ids are the split and the row's number from 1.

    Args:
        rows: The table.
        columns: Which columns to take.
        where: The file, as the start of an error message.
        split: Name of the split, for the ids.

    Raises:
        DataError: A column is missing, or a cell holds no text or no class.
    """
    return [
        Example(
            id=f"{split}-{number}",
            text=_text(row, columns.text, f"{where}: row {number}"),
            pair=_text(row, columns.pair, f"{where}: row {number}") if columns.pair else None,
            label=_label(row, columns.label, f"{where}: row {number}"),
        )
        for number, row in enumerate(rows, start=1)
    ]


def label_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Sort the distinct labels: whole numbers by value, before any text."""
    return tuple(sorted(set(labels), key=_label_key))


def _label_key(label: str) -> tuple[bool, int, str]:
    number = label.removeprefix("-")
    is_number = number.isascii() and number.isdigit()
    return (not is_number, int(label) if is_number else 0, label)


def _text(row: Row, column: str, where: str) -> str:
    value = _cell(row, column, where)
    if not isinstance(value, str):
        raise DataError(f"{where}: {column}: got {value!r}; allowed: text")
    return value


def _label(row: Row, column: str, where: str) -> str:
    value = _cell(row, column, where)
    if isinstance(value, str | int) and value != "":
        return str(value)
    raise DataError(f"{where}: {column}: got {value!r}; allowed: text or a whole number")


def _cell(row: Row, column: str, where: str) -> object:
    if column not in row:
        raise DataError(f"{where}: no column {column!r}; known: {known(row)}")
    return row[column]


def _read_separated(path: Path, delimiter: str) -> list[Row]:
    header, *lines = read_csv_lines(path, delimiter=delimiter) or [[]]
    if len(set(header)) < len(header):
        raise DataError(f"{path}: line 1: a column name stands twice: {', '.join(header)}")
    for number, line in enumerate(lines, start=1):
        if len(line) != len(header):
            raise DataError(
                f"{path}: row {number}: got {len(line)} cells, the header names {len(header)}"
            )
    return [dict(zip(header, line, strict=True)) for line in lines]


def _read_csv(path: Path) -> list[Row]:
    return _read_separated(path, ",")


def _read_tsv(path: Path) -> list[Row]:
    return _read_separated(path, "\t")


def _read_json_lines(path: Path) -> list[Row]:
    rows: list[Row] = []
    # Not splitlines(): that also breaks at separators which JSON allows inside a string.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}: line {number}: not JSON: {error.msg}") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {number}: got {type(row).__name__}; allowed: an object")
        rows.append(row)
    return rows


def _read_parquet(path: Path) -> list[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        with path.open("rb") as file:
            rows: list[Row] = pyarrow.parquet.read_table(file).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        # Arrow's own words start with a name for the open file that means nothing to a user.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        reason = reason.partition("'<Buffer>': ")[2] or reason
        raise DataError(f"{path}: {reason.splitlines()[0]}") from None
    return rows


_READERS: dict[str, Callable[[Path], list[Row]]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
}
