"""Read JSON lines, and JSON files: an array of objects, or an object of columns."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from trainers.data.tables import Columns, Misread, Table, shown_cell
from trainers.errors import DataError

_LINE_END = re.compile(r"\r\n|\r|\n")
_SECOND_OBJECT = re.compile(r"\s*\{[^\r\n]*\}[ \t]*[\r\n]+\s*\{")
_A_LINE = "allowed: one object a line, or format: json for an array of them"
_ALLOWED = "; allowed: an array of objects, one a row, or an object of columns"
_NAMES = {dict: "an object", list: "an array", str: "a text", bool: "a truth", type(None): "null"}


class _Object(dict[str, Any]):
    """An object with duplicate keys; the last of each counts."""

    twice: frozenset[str]


def read_json_lines(text: str, columns: Columns) -> Table:
    """Read one object a line; skip blank lines.

    Raises:
        DataError: A line is no object, or lacks a column.
    """
    rows: list[Mapping[str, Any]] = []
    lines: list[int] = []
    # Not splitlines(): that also breaks at separators which JSON allows inside a string.
    all_lines = _LINE_END.split(text) if "\r" in text else text.split("\n")
    for number, line in enumerate(all_lines, start=1):
        if not line.strip():
            continue
        row = _parse_line(line, number)
        if not isinstance(row, dict):
            raise DataError(f"line {number}: got {_name(row)}; allowed: an object")
        rows.append(row)
        lines.append(number)
    return _table(rows, columns, lines, "line")


def read_json(text: str, columns: Columns) -> Table:
    """Read an array of objects, alone or as the one array of an object, or an object of columns.

    Columns are arrays, or objects whose keys are the numbers of the rows, as pandas writes them.
    A file of JSON lines is read as such.

    Raises:
        DataError: The file has another form, or an object lacks a column.
    """
    if _SECOND_OBJECT.match(text):
        return read_json_lines(text, columns)
    tree = _parse(text, 1)
    if isinstance(tree, dict):
        arrays = [name for name, part in tree.items() if _holds_objects(part)]
        if len(arrays) > 1:
            got = f"got arrays {', '.join(arrays)}"
            raise DataError(f"{got}; allowed: one array of objects; write each into its own file")
        if not arrays:
            return _of_columns(tree, columns)
        tree = tree[arrays[0]]
    if not isinstance(tree, list):
        raise DataError(f"got {_name(tree)}; allowed: an array of objects, one a row")
    for number, row in enumerate(tree, start=1):
        if not isinstance(row, dict):
            raise DataError(f"row {number}: got {_name(row)}; allowed: an object")
    return _table(tree, columns, range(1, len(tree) + 1), "row")


def _holds_objects(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _parse(text: str, line: int) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        if error.pos == 0:
            said = f"line {line}: not JSON: got {shown_cell(text[:20])};"
            first = _LINE_END.split(text.lstrip(), maxsplit=1)[0]
            likely = "tsv" if "\t" in first else "csv" if "," in first else None
            if likely is None or "{" in text or "[" in text:
                raise DataError(f"{said} set format if it is another") from None
            raise Misread(said, "format", likely, " if that is right") from None
        said = error.msg.removesuffix(" starting at")
        place = f"line {line + error.lineno - 1}"
        raise DataError(f"{place}: not JSON: {said} at character {error.colno}") from None
    except RecursionError:
        raise DataError(f"line {line}: not a table: arrays within arrays without end") from None
    except ValueError as error:
        raise DataError(f"line {line}: not JSON: {error}") from None


def _parse_line(line: str, number: int) -> Any:
    try:
        return json.loads(line, object_pairs_hook=_object)
    except ValueError as error:
        if line.strip() in ("{", "["):
            reason = "the object takes several lines"
        elif isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
            reason = f"unexpected text after the object at character {error.colno}"
        else:
            return _parse(line, number)
        raise DataError(f"line {number}: {reason}; {_A_LINE}") from None
    except RecursionError:
        return _parse(line, number)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    again = _Object(found)
    again.twice = frozenset(
        key for key, count in Counter(k for k, _ in pairs).items() if count > 1
    )
    return again


def _check_unique(row: Mapping[str, Any], column: str, where: str = "") -> None:
    """Refuse an object that has a wanted key twice: either value may be the right one."""
    if isinstance(row, _Object) and column in row.twice:
        raise DataError(f"{where}duplicate key {column!r} in one object; leave one out")


def _name(value: object) -> str:
    return _NAMES.get(type(value), "a number")


def _of_columns(tree: Mapping[str, Any], columns: Columns) -> Table:
    if not all(isinstance(cells, dict | list) for cells in tree.values()):
        return _table([tree], columns, [1], "row")
    wanted = columns.fields().values()
    rows = list(tree.values())
    if all(isinstance(row, dict) and all(column in row for column in wanted) for row in rows):
        return _table(rows, columns, range(1, len(rows) + 1), "row")  # by keys of the rows
    _check_there(columns, tree, after=_ALLOWED)
    for column in wanted:
        _check_unique(tree, column)
    found = _by_key({column: tree[column] for column in wanted})
    counts = {column: len(cells) for column, cells in found.items()}
    if len(set(counts.values())) > 1:
        lengths = ", ".join(f"{column} {count}" for column, count in counts.items())
        raise DataError(f"got columns of different lengths ({lengths}); allowed: equal ones")
    return Table(found, range(1, counts[columns.text] + 1))


def _by_key(cells: Mapping[str, Any]) -> dict[str, list[object]]:
    """Return columns in the first one's order of rows, where rows have keys."""
    (first, keys), *others = cells.items()
    for column, named in others:
        if isinstance(keys, dict) and isinstance(named, dict) and keys.keys() != named.keys():
            key = next(k for k in (*keys, *named) if k not in keys or k not in named)
            raise DataError(
                f"the rows of {first!r} and {column!r} have different keys; {key!r} is in "
                "one of the two only"
            )
    return {
        column: [named[key] for key in (keys if isinstance(keys, dict) else named)]
        if isinstance(named, dict)
        else named
        for column, named in cells.items()
    }


def _table(
    rows: Sequence[Mapping[str, Any]], columns: Columns, places: Sequence[int], unit: str
) -> Table:
    found: dict[str, list[object]] = {}
    for column in columns.fields().values():
        try:
            found[column] = [row[column] for row in rows]
            for n, row in enumerate(rows):
                _check_unique(row, column, f"{unit} {places[n]}: ")
        except KeyError:
            n = next(n for n, row in enumerate(rows) if column not in row)
            _check_there(columns, rows[n], f"{unit} {places[n]}: ")
    return Table(found, places, unit)


def _check_there(
    columns: Columns, row: Mapping[str, Any], where: str = "", after: str = ""
) -> None:
    lacking = columns.lacking(row)
    if lacking:
        raise DataError(f"{where}{lacking}{after}") from None
