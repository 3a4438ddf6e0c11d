"""Make examples of a table's columns: check that cells are texts and classes."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral
from pathlib import Path

from trainers.errors import DataError, in_yaml, known
from trainers.interfaces import Example

_SHOWN_CHARACTERS = 40
_NO_WORD = re.compile(r"[\W_\d]+")
_CLOSE = 0.7  # `lable` is close to `label`, and `target` not to `text`
_WORD = re.compile(r"[A-Za-z][\w-]*", re.ASCII)
_WHOLE = re.compile(r"(-?)(0|[1-9][0-9]*)\.0*", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?", re.ASCII)


class Misread(DataError):
    """A file that is written in another way than was assumed.

    Args:
        reason: The fault; the setting that corrects it is added.
        field: The task's field to set.
        likely: Its value; None: leave the field out.
        tail: End of the message, such as a doubt.
    """

    def __init__(self, reason: str, field: str, likely: str | None, tail: str = "") -> None:
        step = f"leave {field} out" if likely is None else f"set {setting_line(field, likely)}"
        super().__init__(f"{reason} {step}{tail}")
        self.reason, self.field, self.likely, self.tail = reason, field, likely, tail

    def in_file(self, path: Path) -> Misread:
        """Return a copy whose message begins with the file's name."""
        return Misread(f"{path}: {self.reason}", self.field, self.likely, self.tail)


def setting_line(field: str, value: str | Mapping[str, str]) -> str:
    """Return the line of a study that sets a field, for all files of a task or by split."""
    if not isinstance(value, str):
        pairs = ", ".join(setting_line(split, each) for split, each in value.items())
        return f"{field}: {{{pairs}}}"
    # A delimiter is put in quotes, with escapes that the field takes in quotes of either kind.
    return f"{field}: {in_yaml(value) if _WORD.fullmatch(value) else repr(value)}"


@dataclass(frozen=True)
class Columns:
    """Names of an example's columns."""

    text: str
    pair: str | None
    label: str

    def fields(self) -> dict[str, str]:
        """Return the columns by the task's fields that name them."""
        fields = {"text": self.text, "text_pair": self.pair, "label": self.label}
        return {field: column for field, column in fields.items() if column is not None}

    def lacking(self, names: Collection[str]) -> str:
        """Return a message about those that a table lacks; "": it has all."""
        absent = {field: each for field, each in self.fields().items() if each not in names}
        return no_column(absent, names, set(self.fields().values())) if absent else ""


@dataclass(frozen=True)
class Table:
    """The wanted columns of a table, and the place of each row."""

    columns: Mapping[str, Sequence[object]]
    """Cells by column, in the order of the rows."""
    places: Sequence[int]
    """Line of each row in its file, or the row's number where it has no line."""
    unit: str = "row"
    """Whether a place is a line or a row."""


def make_examples(table: Table, columns: Columns, *, where: str, split: str) -> list[Example]:
    """Make examples of a table's rows; their ids are the split and the row's number from 1.

    Args:
        table: The rows.
        columns: Which columns to take.
        where: The file, as the start of an error message.
        split: Name of the split, for the ids.

    Raises:
        DataError: A cell has no text or no class.
    """
    texts, labels = table.columns[columns.text], table.columns[columns.label]
    check_classes(labels, columns.label, where)
    pairs = None if columns.pair is None else table.columns[columns.pair]
    _check_unicode(table, columns, where)
    words = {label for label in labels if type(label) is str}
    classes = {word: class_name(word) for word in words if word and not word.isspace()}
    found = []
    for number, (text, label) in enumerate(zip(texts, labels, strict=True)):
        try:
            found.append(
                Example(
                    id=f"{split}-{number + 1}",
                    text=text if type(text) is str else _text(text, columns.text),
                    pair=None if pairs is None else _text(pairs[number], columns.pair),
                    label=classes[label]
                    if type(label) is str and label in classes
                    else _label(label, columns.label),
                )
            )
        except DataError as error:
            place = f"{table.unit} {table.places[number]}"
            raise DataError(f"{where}: {place}: {error}") from None
    return found


def check_classes(labels: Sequence[object], column: str, where: str) -> None:
    """Refuse a column without any class, by one message for all rows.

    Args:
        labels: The column's cells.
        column: Its name.
        where: The file or the split, as the start of an error message.

    Raises:
        DataError: All cells are empty.
    """
    if len(labels) > 1 and all(map(is_gap, labels)):
        raise DataError(
            f"{where}: {column}: empty in all {len(labels)} rows; allowed: a class in every row. "
            "Test labels that are kept secret are often empty: name a split or file "
            "with classes, or their column by `label`"
        )


def class_name(name: str) -> str:
    """Return a class's name; a whole number has no fraction: `1.0` is `1`."""
    whole = _WHOLE.fullmatch(name)
    return str(int(whole[1] + whole[2])) if whole else name


def label_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Sort the distinct labels: numbers by value, before any text."""
    return tuple(sorted(set(labels), key=_label_key))


def no_column(absent: Mapping[str, str], names: Iterable[str], taken: Iterable[str] = ()) -> str:
    """Return a message about missing columns, with those that exist and the line to write.

    Args:
        absent: The missing columns, by the task's fields that name them.
        names: The columns that exist.
        taken: Those of them that other fields name.
    """
    names = [str(name) for name in names]
    free = [name for name in names if name not in set(taken)]
    alike: dict[str, str] = {}
    for field, column in absent.items():
        near = _near(column, [name for name in free if name not in alike.values()])
        if near is not None:
            alike[field] = near
    first, *others = absent
    asked = [absent[field] for field in (first, *(each for each in others if each in alike))]
    guess = " and ".join(map(repr, alike.values()))
    lines = ", ".join(f"{field}: {in_yaml(name.strip())}" for field, name in alike.items())
    hint = f"; did you mean {guess}? set {lines}" if alike else ""
    there = known(_shown_name(name) for name in names) or "none"
    return f"no column {' and no '.join(map(repr, asked))}; known: {there}{hint}"


def _near(column: str, names: list[str]) -> str | None:
    """Return a name that differs only by case, spaces and marks, or that contains this one."""
    plain = {_plain(name): name for name in reversed(names)}
    close = difflib.get_close_matches(_plain(column), plain, n=1, cutoff=_CLOSE)
    words = (name for name in names if column.casefold() in _NO_WORD.split(name.casefold()))
    return plain[close[0]] if close else next(words, None)


def shown_cell(value: object) -> str:
    """Return a cell for an error message, shortened."""
    text = "null" if value is None else repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."


def _shown_name(name: str) -> str:
    name = name if name.isprintable() else repr(name)[1:-1]
    return name if len(name) <= _SHOWN_CHARACTERS else f"{name[: _SHOWN_CHARACTERS - 3]}..."


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _label_key(label: str) -> tuple[bool, Decimal, str]:
    is_number = _NUMBER.fullmatch(label) is not None
    return (not is_number, Decimal(label) if is_number else Decimal(), label)


def _check_unicode(table: Table, columns: Columns, where: str) -> None:
    for column in columns.fields().values():
        for place, cell in zip(table.places, table.columns[column], strict=True):
            if isinstance(cell, str) and not _is_unicode(cell):
                raise DataError(
                    f"{where}: {table.unit} {place}: {column}: got {shown_cell(cell)}; allowed: "
                    "valid Unicode, in which half of a surrogate pair is no character"
                )


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_gap(cell: object) -> bool:
    """Return whether a cell is empty: null, a NaN, or a text of spaces only."""
    return cell is None or cell != cell or (isinstance(cell, str) and not cell.strip())


def no_class(column: str) -> str:
    """Return the message that a row has no class, and what to do."""
    return f"no class in {column!r}; fill it in or take the row out"


def _text(value: object, column: str | None) -> str:
    if isinstance(value, str):
        return value
    if is_gap(value):
        raise DataError(f"no text in {column!r}; fill it in or take the row out")
    raise DataError(f"{column}: got {shown_cell(value)}; allowed: text")


def _label(value: object, column: str) -> str:
    """Return the name of a cell's class; a number as in CSV: `1.0` is `1`."""
    if is_gap(value):
        raise DataError(no_class(column))
    if isinstance(value, bool):
        return str(value).lower()  # as JSON writes it, and most CSV
    if isinstance(value, Integral):
        return str(value)
    if isinstance(value, float | Decimal) and math.isfinite(value):
        if value % 1 == 0:
            return str(int(value))
        return repr(value) if isinstance(value, float) else f"{value:f}".rstrip("0")
    one = "one class a row, as " if isinstance(value, list | tuple | dict | set) else ""
    raise DataError(f"{column}: got {shown_cell(value)}; allowed: {one}text or a number")
