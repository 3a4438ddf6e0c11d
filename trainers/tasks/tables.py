"""Make examples of a table's columns: which cell is a text, which a class, and what is neither."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral

from trainers.bases import Example
from trainers.errors import DataError, known

_SHOWN_CHARACTERS = 40
_WHOLE = re.compile(r"(-?)(0|[1-9][0-9]*)\.0*", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?", re.ASCII)


@dataclass(frozen=True)
class Columns:
    """Names of the columns that hold an example."""

    text: str
    pair: str | None
    label: str

    def fields(self) -> dict[str, str]:
        """Map a task's fields to the columns that they name."""
        fields = {"text": self.text, "text_pair": self.pair, "label": self.label}
        return {field: column for field, column in fields.items() if column is not None}


@dataclass(frozen=True)
class Table:
    """The wanted columns of a table, and where each of its rows stands."""

    columns: Mapping[str, Sequence[object]]
    """Cells by column, in the order of the rows."""
    places: Sequence[int]
    """Number of each row's line in its file, or of the row itself where it has no line."""
    unit: str = "row"
    """Whether a place is a line or a row."""


def examples(table: Table, columns: Columns, *, where: str, split: str) -> list[Example]:
    """Make examples of a table's rows; their ids are the split and the row's number from 1.

    Args:
        table: The rows.
        columns: Which columns to take.
        where: The file, as the start of an error message.
        split: Name of the split, for the ids.

    Raises:
        DataError: A cell holds no text or no class.
    """
    texts, labels = table.columns[columns.text], table.columns[columns.label]
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


def class_name(name: str) -> str:
    """Return the name of a class as it is shown: a whole number has no fraction, `1.0` is `1`."""
    whole = _WHOLE.fullmatch(name)
    return str(int(whole[1] + whole[2])) if whole else name


def label_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Sort the distinct labels: numbers by value, before any text."""
    return tuple(sorted(set(labels), key=_label_key))


def no_column(field: str, column: str, names: Iterable[str]) -> str:
    """Say that a wanted column is missing, which there are, and what to write in the study."""
    names = [str(name) for name in names]
    alike = [name for name in names if _plain(name) == _plain(column)]
    alike = alike or difflib.get_close_matches(column, names, n=1)
    hint = f"; did you mean {alike[0]!r}? set {field}: {alike[0].strip()}" if alike else ""
    return f"no column {column!r}; known: {known(_shown_name(name) for name in names)}{hint}"


def shown(value: object) -> str:
    """Return a cell as an error message shows it, short."""
    text = "null" if value is None else repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."


def _shown_name(name: str) -> str:
    return name if len(name) <= _SHOWN_CHARACTERS else f"{name[: _SHOWN_CHARACTERS - 3]}..."


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-\ufeff]+", "", name).casefold()


def _label_key(label: str) -> tuple[bool, Decimal, str]:
    is_number = _NUMBER.fullmatch(label) is not None
    return (not is_number, Decimal(label) if is_number else Decimal(), label)


def _check_unicode(table: Table, columns: Columns, where: str) -> None:
    for column in columns.fields().values():
        for place, cell in zip(table.places, table.columns[column], strict=True):
            if isinstance(cell, str) and not _is_unicode(cell):
                raise DataError(
                    f"{where}: {table.unit} {place}: {column}: got {shown(cell)}; allowed: valid "
                    "Unicode, in which half of a surrogate pair is no character"
                )


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(value: object, column: str | None) -> str:
    if not isinstance(value, str):
        raise DataError(f"{column}: got {shown(value)}; allowed: text")
    return value


def _label(value: object, column: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()  # as JSON writes it, and most CSV
    if isinstance(value, Integral):
        return str(value)
    if isinstance(value, float | Decimal) and math.isfinite(value) and value % 1 == 0:
        return str(int(value))
    raise DataError(f"{column}: got {shown(value)}; allowed: {_allowed(value)}")


def _allowed(value: object) -> str:
    if isinstance(value, list | tuple | dict | set):
        return "one class a row, as text or a whole number"
    if isinstance(value, float | Decimal) and math.isfinite(value):
        return (
            "text or a whole number; a score is no class, and a class that looks like one is "
            f'written as text ("{value}")'
        )
    return "text or a whole number"
