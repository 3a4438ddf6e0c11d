"""Read the first line of separated text: its delimiter and the names of the columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from itertools import islice
from typing import TYPE_CHECKING, Literal

from trainers.data.tables import Columns, Misread, no_column, shown_cell
from trainers.errors import DataError

if TYPE_CHECKING:
    import _csv

Quoting = Literal["cells", "none"]

DELIMITERS = (",", ";", "\t", "|")
LINE_END = re.compile(r"\r\n|\r|\n")
_HEAD_CHARACTERS, _HEAD_ROWS = 1 << 16, 1000
# The csv module's limit holds for the whole process, so it is only ever increased.
_MOST_CHARACTERS = (1 << 31) - 1
_PRIVATE = range(0xE000, 0xF900)  # code points that no standard gives a meaning
_BETWEEN = re.compile(r"""[^\w"'\r\n]+|_+""")
_WITHIN_NAMES = re.compile(r"[ \xa0_.\-]+")  # delimiters if every line has equally many
_NUMBER = re.compile(r"\s*[-+]?[0-9]+([.,][0-9]+)?\s*")
_LONG_CHARACTERS, _LONG_WORDS = 40, 5
_TITLE_LINES = 20
_MOST_DELIMITERS, _MOST_NAMES = 16, 12


@dataclass(frozen=True)
class Form:
    """How a file is written: its delimiter and quotation."""

    delimiter: str
    """One character."""
    quoted: bool = True
    spaced: bool = False
    """Whether a space follows each delimiter."""
    meant: str = ""
    """The delimiter of several characters that `delimiter` replaces in the text; "": none."""

    @property
    def name(self) -> str:
        """The file's own delimiter."""
        return self.meant or self.delimiter

    def reader(self, text: str, *, strict: bool = True) -> _csv.Reader:
        """Return the standard library's reader for a text of this form."""
        if csv.field_size_limit() < _MOST_CHARACTERS:
            csv.field_size_limit(_MOST_CHARACTERS)
        return csv.reader(
            StringIO(text, newline=""),  # line ends inside quotes belong to the text
            delimiter=self.delimiter,
            quoting=csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE,
            skipinitialspace=self.spaced,
            strict=strict,
        )

    def cell(self, cell: str) -> str:
        """Return a cell as the file has it."""
        return cell.replace(self.delimiter, self.meant) if self.meant else cell


@dataclass(frozen=True)
class Header:
    """The names of the columns, and the form of the file."""

    form: Form
    names: tuple[str, ...]

    def places(self, column: str) -> list[int]:
        """Return the places of the columns of this name, ignoring spaces around it."""
        exact = [n for n, name in enumerate(self.names) if name == column]
        return exact or [n for n, name in enumerate(self.names) if name.strip() == column]

    def holds(self, columns: Columns) -> bool:
        """Return whether every wanted column is there."""
        return all(self.places(column) for column in columns.fields().values())

    def names_exactly(self, columns: Columns) -> bool:
        """Return whether the wanted columns are there, spaces included."""
        return set(columns.fields().values()) <= set(self.names)

    def spaced(self) -> Header:
        """Return the header of a file with a space after each delimiter, if it has them."""
        spaced = len(self.names) > 1 and all(name[:1] == " " for name in self.names[1:])
        return replace(self, form=replace(self.form, spaced=True)) if spaced else self

    def has_gaps(self, columns: Columns) -> bool:
        """Return whether this delimiter seems part of a longer one, with spaces around it."""
        inner = self.names[1:-1]
        return not self.names_exactly(columns) and any(not name.strip() for name in inner)

    def lacks(self, columns: Columns) -> str:
        """Return a message about the missing columns."""
        absent = {f: column for f, column in columns.fields().items() if not self.places(column)}
        names = [name.strip() for name in self.names if name.strip()]
        return f"the header has {no_column(absent, names, set(columns.fields().values()))}"

    def is_near(self, columns: Columns) -> bool:
        """Return whether every wanted column has a name like its own here."""
        return self.lacks(columns).count("did you mean") == 1

    def measure(self) -> tuple[int, int]:
        """Return how likely a header is: its number of names, then the length of its delimiter."""
        return sum(bool(name.strip()) for name in self.names), len(self.form.name)

    def fits(self, cells: Sequence[str]) -> bool:
        """Return whether a row has these columns, regardless of unnamed last ones."""
        named = max((n for n, name in enumerate(self.names, start=1) if name.strip()), default=0)
        return named <= len(cells) and not any(cells[len(self.names) :])


def standing_for(text: str, delimiter: str, form: Form) -> tuple[str, Form]:
    """Return a text with its delimiter of several characters replaced by one, and its form."""
    if len(delimiter) == 1:
        return text, replace(form, delimiter=delimiter)
    one = next(chr(code) for code in _PRIVATE if chr(code) not in text)
    return text.replace(delimiter, one), replace(form, delimiter=one, meant=delimiter)


def find_header(
    text: str, columns: Columns, delimiters: Sequence[str], quoting: Quoting | None
) -> Header:
    """Find the delimiter that gives the wanted columns in the first line.

    Args:
        text: The whole file.
        columns: Which columns are wanted.
        delimiters: The one that the task sets, or those to try in turn.
        quoting: Whether a quotation mark at the start of a cell opens a quotation.

    Raises:
        DataError: The line does not name the columns; the message says what it looks like.
    """
    candidates = [*delimiters, *(other for other in DELIMITERS if other not in delimiters)]
    plain = Form(",", quoted=quoting != "none")
    headers = [_header(text, each, plain) for each in candidates]
    found = next((header for header in headers if header.holds(columns)), None)
    usual = found is not None and found.form.name in delimiters
    if found is not None and usual and (len(delimiters) == 1 or not found.has_gaps(columns)):
        return found if found.names_exactly(columns) else found.spaced()
    others = [each for each in _like_delimiters(text) if each not in candidates]
    unusual = [_header(text, each, plain) for each in others]
    even = [header for header in unusual if len(header.names) > 1 and _is_even(text, header)]
    sure = [header for header in unusual if _is_sure(text, header)]
    other = next((header for header in (*even, *sure) if header.holds(columns)), None)
    if found is not None and usual and (other is None or found.form.name not in other.form.name):
        return found.spaced()
    likely = other if found is None or usual else found
    if likely is not None:
        looks = f"line 1: the header looks separated by {likely.form.name!r}:"
        raise Misread(looks, "delimiter", likely.form.name)
    raise _without_columns(text, columns, headers, even)


def first_row(text: str, form: Form) -> tuple[str, ...]:
    """Return the cells of the first row that is not blank."""
    return next(_head(text, form), ())


def _without_columns(
    text: str, columns: Columns, headers: Sequence[Header], even: Sequence[Header]
) -> DataError:
    """Return the error that no delimiter gives the wanted columns."""
    first = headers[0]
    parted = [each for each in even if _is_sure(text, each) or each.is_near(columns)]
    likely = max([*headers, *parted], key=Header.measure)
    header = first if len(first.names) > 1 or len(likely.names) < 2 else likely
    if len(first.names) == 1 and any(
        _header(first.names[0], each, Form(",")).holds(columns) for each in DELIMITERS
    ):
        return DataError("line 1: quotation marks enclose the whole line; take them out")
    below = _named_below(text, columns, header)
    if below:
        return DataError(below)
    lacks = header.lacks(columns)
    data = "" if "did you mean" in lacks else _like_data(text, columns, header)
    if data:
        return DataError(f"line 1: the header has no column {columns.text!r}; {data}")
    if header is first:
        return DataError(f"line 1: {lacks}")
    looks = f"the header looks separated by {header.form.name!r}"
    return DataError(f"line 1: {looks}, and then has{lacks.removeprefix('the header has')}")


def _header(text: str, delimiter: str, form: Form) -> Header:
    text, form = standing_for(text[:_HEAD_CHARACTERS], delimiter, form)
    names = first_row(text, form)
    if not form.quoted:
        unquoted = first_row(text, replace(form, quoted=True))
        return Header(form, unquoted if len(unquoted) == len(names) else names)
    if not form.spaced and any(re.match(r'\s+"', name) for name in names):
        return Header(replace(form, spaced=True), first_row(text, replace(form, spaced=True)))
    return Header(form, names)


def _head(text: str, form: Form) -> Iterator[tuple[str, ...]]:
    """Yield the first rows that are not blank, up to the first fault."""
    reader = form.reader(text[:_HEAD_CHARACTERS], strict=False)
    return (tuple(map(form.cell, cells)) for cells in reader if any(map(str.strip, cells)))


def _rows_of(text: str, header: Header) -> list[tuple[str, ...]]:
    """Return the first rows of a file by the header's form; the last may be cut off."""
    head, form = text[:_HEAD_CHARACTERS], header.form
    if form.meant:
        head = head.replace(form.meant, form.delimiter)
    rows = list(islice(_head(head, form), _HEAD_ROWS))
    return rows[:-1] if len(text) > _HEAD_CHARACTERS and len(rows) > 1 else rows


def _like_delimiters(text: str) -> list[str]:
    """Return possible delimiters of the first line, the longest first."""
    lines = LINE_END.split(text[:_HEAD_CHARACTERS])
    line = next((line for line in lines if line.strip()), "")
    found = dict.fromkeys(run[0] for run in _BETWEEN.finditer(line.strip(" ")))
    longest = sorted(islice(found, _MOST_DELIMITERS), key=len, reverse=True)
    signs = (sign for run in longest for sign in run)
    return list(islice(dict.fromkeys([*longest, *signs]), 2 * _MOST_DELIMITERS))


def _is_even(text: str, header: Header) -> bool:
    """Return whether every row has as many cells as the header, and there is one."""
    rows = _rows_of(text, header)
    return len(rows) > 1 and all(len(row) == len(header.names) for row in rows)


def _is_sure(text: str, header: Header) -> bool:
    """Return whether a delimiter is in the second row too, and unlikely in names and texts."""
    rows = _rows_of(text, header)[:2]
    return not _WITHIN_NAMES.fullmatch(header.form.name) and all(len(row) > 1 for row in rows)


def _named_below(text: str, columns: Columns, header: Header) -> str:
    """Return a message if a line below the first, such as one under a title, names the columns."""
    for delimiter in dict.fromkeys((header.form.name, *DELIMITERS)):
        lines = LINE_END.split(text[:_HEAD_CHARACTERS])[:_TITLE_LINES]
        for number, line in enumerate(lines[1:], start=2):
            if line and _header(line, delimiter, Form(",")).holds(columns):
                return f"line {number}: the columns are named here; take out the lines above it"
    return ""


def _like_data(text: str, columns: Columns, header: Header) -> str:
    """Return a message if the first line is a row and no header; "": it is a header.

    A column's name does not occur again in the column, is no number and no sentence.
    """
    first, *rows = _rows_of(text, header) or [()]
    cells = [[row[n] for row in rows if n < len(row)] for n in range(len(first))]
    again = any(name.strip() and name in below for name, below in zip(first, cells, strict=True))
    like_a_cell = any(
        _NUMBER.fullmatch(name) or len(name) > _LONG_CHARACTERS or len(name.split()) > _LONG_WORDS
        for name in first
    )
    wanted = columns.fields()
    if not (again or like_a_cell) or len(first) < len(wanted):
        return ""
    found = ", ".join(shown_cell(name) for name in first[:4]) + ", ..." * (len(first) > 4)
    if len(first) > _MOST_NAMES:
        return f"the first line looks like a row ({found}); add a line above it with the names"
    columns_of = [[name, *below] for name, below in zip(first, cells, strict=True)]
    line = header.form.name.join(_names_for(columns, columns_of))
    tab = r" (\t: a tab)" if "\t" in line else ""
    return f"the first line looks like a row ({found}); add a line above it: {line}{tab}"


def _names_for(columns: Columns, cells: Sequence[Sequence[str]]) -> list[str]:
    """Name columns by their cells: few different ones are classes, long ones texts."""
    names = [f"column{number}" for number in range(1, len(cells) + 1)]
    kinds = [len(set(column)) for column in cells]
    sizes = [_size(column) for column in cells]
    classes = min(range(len(cells)), key=lambda n: (kinds[n] < 2, kinds[n], sizes[n]))
    others = (n for n in range(len(cells)) if n != classes)
    by_length = sorted(others, key=lambda n: sizes[n], reverse=True)
    texts = [columns.text] + ([columns.pair] if columns.pair else [])
    for n, name in zip(sorted(by_length[: len(texts)]), texts, strict=True):
        names[n] = name
    names[classes] = columns.label
    return names


def _size(cells: Sequence[str]) -> tuple[int, int]:
    """Return the numbers of words and of characters in the cells of a column."""
    return sum(len(cell.split()) for cell in cells), sum(map(len, cells))
