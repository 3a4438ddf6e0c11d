"""Read CSV, TSV and other separated text; a fault is blamed on the line where it begins."""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import StringIO
from typing import TYPE_CHECKING, Literal

from trainers.errors import DataError
from trainers.tasks.tables import Columns, Table, no_column, shown

if TYPE_CHECKING:
    import _csv

Quoting = Literal["cells", "none"]

DELIMITERS = (",", ";", "\t", "|")
_HEADER_CHARACTERS = 1 << 16
# The csv module's limit holds for the whole process, so it is only ever raised.
_MOST_CHARACTERS = (1 << 31) - 1
_OWN_DELIMITER = re.compile(r'"?sep=(.)"?(?=[\r\n])')
_BEGINS_QUOTED = re.compile(r'(?:^|[\t\r\n])"')
_NO_SPACE = "take out the space before the quotation mark"
_WAY_OUT = (
    'take it out, or write it "" inside a quoted cell; where quotation marks are characters like '
    "others, set quoting: none"
)
_MANY = 6
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class _Form:
    """How a file is written."""

    delimiter: str
    quoted: bool = True
    spaced: bool = False
    """Whether a space follows each delimiter."""

    def reader(self, text: str, *, strict: bool = True) -> _csv.Reader:
        """Return the standard library's reader of such a text."""
        if csv.field_size_limit() < _MOST_CHARACTERS:
            csv.field_size_limit(_MOST_CHARACTERS)
        return csv.reader(
            StringIO(text, newline=""),  # line ends inside quotes belong to the text
            delimiter=self.delimiter,
            quoting=csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE,
            skipinitialspace=self.spaced,
            strict=strict,
        )


@dataclass(frozen=True)
class _Header:
    """The names of the columns, and how the file that begins so is written."""

    form: _Form
    names: tuple[str, ...]

    def places(self, column: str) -> list[int]:
        """Return where a column of this name stands, spaces around it aside."""
        exact = [n for n, name in enumerate(self.names) if name == column]
        return exact or [n for n, name in enumerate(self.names) if name.strip() == column]

    def holds(self, columns: Columns) -> bool:
        """Return whether every wanted column is there."""
        return all(self.places(column) for column in columns.fields().values())

    def names_exactly(self, columns: Columns) -> bool:
        """Return whether the wanted columns stand there to the last space."""
        return set(columns.fields().values()) <= set(self.names)

    def spaced(self) -> _Header:
        """Return the header of a file that writes a space after each delimiter, if it does."""
        spaced = len(self.names) > 1 and all(name[:1] == " " for name in self.names[1:])
        return replace(self, form=replace(self.form, spaced=True)) if spaced else self

    def lacks(self, columns: Columns) -> str:
        """Say which wanted column is not there."""
        for field, column in columns.fields().items():
            if not self.places(column):
                names = [name.strip() for name in self.names if name.strip()]
                return f"the header has {no_column(field, column, names)}"
        return ""

    def fits(self, cells: Sequence[str]) -> bool:
        """Return whether a row has these columns; unnamed last ones may lack, or be too many."""
        named = max((n for n, name in enumerate(self.names, start=1) if name.strip()), default=0)
        return named <= len(cells) and not any(cells[len(self.names) :])


@dataclass(frozen=True)
class _Rows:
    """The rows below a header, which itself is left out."""

    lines: list[int]
    """Line on which each begins."""
    cells: list[list[str]]
    long: set[int]
    """Which rows take more than one line."""


class _Fault(DataError):
    """What is wrong, and on which line it begins."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")


def read_separated(
    text: str, columns: Columns, *, delimiters: Sequence[str], quoting: Quoting | None
) -> Table:
    """Read a table from a text whose first line names the columns.

    Args:
        text: The whole file.
        columns: Which columns to take.
        delimiters: The one that the task sets, or those to try in turn on the header.
        quoting: Whether a quotation mark at the start of a cell opens a quotation. Unset, it
            does, and cells that seem to take in whole rows are refused; where tabs part the
            cells it does only if every cell that begins with such a mark ends with one.

    Raises:
        DataError: What is wrong, and on which line; the file is left for the caller to name.
    """
    own = _OWN_DELIMITER.match(text)
    if own:
        text, delimiters = text[own.end() :], (own[1],)
    header = _choose(text, columns, delimiters, quoting)
    wanted = {}
    for field, column in columns.fields().items():
        places = header.places(column)
        if len(places) > 1:
            raise _Fault(1, f"two columns are named {column!r} ({field}); rename one")
        wanted[column] = places[0]
    rows = _rows(text, header, wanted[columns.label], quoting)
    cells = {name: [row[place] for row in rows.cells] for name, place in wanted.items()}
    for label in set(cells[columns.label]) if header.form.quoted else ():
        if re.match(r'\s+"', label):
            line = rows.lines[cells[columns.label].index(label)]
            raise _Fault(line, f"{columns.label}: got {shown(label)}; {_NO_SPACE}")
    return Table(columns=cells, places=rows.lines, unit="line")


def split_lines(text: str) -> list[list[str]]:
    """Split comma-separated text without a header into cells."""
    return _parse(text, _Form(",")).cells


def _choose(
    text: str, columns: Columns, delimiters: Sequence[str], quoting: Quoting | None
) -> _Header:
    """Find the delimiter by which the header names the wanted columns."""
    candidates = [*delimiters, *(other for other in DELIMITERS if other not in delimiters)]
    headers = [_header(text, _Form(each, quoted=quoting != "none")) for each in candidates]
    found = next((header for header in headers if header.holds(columns)), None)
    if found is not None and found.form.delimiter in delimiters:
        return found if found.names_exactly(columns) else found.spaced()
    first = headers[0]
    likely = found or max(headers, key=lambda header: len(header.names))
    looks = f"the header looks separated by {likely.form.delimiter!r}"
    if found is not None:
        raise _Fault(1, f"{looks}: set delimiter: {likely.form.delimiter!r}, or leave it out")
    if len(first.names) > 1 or len(likely.names) < 2:
        raise _Fault(1, first.lacks(columns))
    raise _Fault(1, f"{looks}, and then has{likely.lacks(columns).removeprefix('the header has')}")


def _header(text: str, form: _Form) -> _Header:
    names = _first_row(text, form)
    if not form.quoted:
        unquoted = _first_row(text, replace(form, quoted=True))
        return _Header(form, unquoted if len(unquoted) == len(names) else names)
    if not form.spaced and any(re.match(r'\s+"', name) for name in names):
        return _header(text, replace(form, spaced=True))
    return _Header(form, names)


def _first_row(text: str, form: _Form) -> tuple[str, ...]:
    reader = form.reader(text[:_HEADER_CHARACTERS], strict=False)
    return next((tuple(cells) for cells in reader if any(map(str.strip, cells))), ())


def _rows(text: str, header: _Header, label: int, quoting: Quoting | None) -> _Rows:
    if quoting is not None:
        return _fitting(text, header)
    if header.form.delimiter == "\t":
        return _tabbed(text, header, label)
    rows = _fitting(text, header)
    _check_takes_in_no_rows(rows, header, label)
    return rows


def _tabbed(text: str, header: _Header, label: int) -> _Rows:
    """Read a tab-separated text, quoted only if that explains every mark at a cell's start."""
    plain = replace(header, form=replace(header.form, quoted=False))
    if not _BEGINS_QUOTED.search(text):
        return _fitting(text, plain)
    header_quoted = text.lstrip().startswith('"')  # then cells are
    try:
        rows = _fitting(text, header)
        _check_takes_in_no_rows(rows, header, label)
    except _Fault:
        if header_quoted:
            raise
        return _fitting(text, plain)
    if (
        rows.long and not header_quoted
    ):  # if each line is a row with a class, the marks at the ends stand alone
        with contextlib.suppress(_Fault):
            single = _fitting(text, plain)
            return single if all(cells[label].strip() for cells in single.cells) else rows
    return rows


def _fitting(text: str, header: _Header) -> _Rows:
    """Parse the rows and check their width."""
    rows = _parse(text, header.form)
    below = next(n for n, line in enumerate(rows.cells) if any(map(str.strip, line))) + 1
    full = len(header.names)
    kept, blank = range(below, len(rows.cells)), set()
    for n in kept:
        cells = rows.cells[n]
        if len(cells) != full and not header.fits(cells):
            if any(map(str.strip, cells)):
                raise _Fault(rows.lines[n], _width(cells, header))
            blank.add(n)
    left = [n for n in kept if n not in blank] if blank else kept
    return _Rows(
        lines=[rows.lines[n] for n in left],
        cells=[rows.cells[n] for n in left],
        long={place for place, n in enumerate(left) if n in rows.long} if rows.long else set(),
    )


def _width(cells: Sequence[str], header: _Header) -> str:
    names = ", ".join(name for name in header.names if name.strip())
    form = header.form
    reason = (
        f"got {len(cells)} cell{'s' * (len(cells) != 1)}, the header names {len(header.names)} "
        f"({names}) separated by {form.delimiter!r}"
    )
    if len(cells) < len(header.names):
        quoted = not form.quoted and '"' in "".join(cells)
        return f"{reason}; cells in quotation marks need quoting: cells" if quoted else reason
    lines = len(_LINE_END.findall("".join(cells))) + 1
    if lines > 1:
        return f"{reason}; the quotation mark of a cell here takes in {lines} lines: {_WAY_OUT}"
    if any(re.match(r'\s+"', cell) for cell in cells) and form.quoted:
        return f"{reason}; {_NO_SPACE}"
    if form.quoted:
        return f"{reason}; put a text with {form.delimiter!r} in quotation marks"
    return (
        f"{reason}; a text that holds {form.delimiter!r} needs quotation marks and quoting: cells"
    )


def _parse(text: str, form: _Form) -> _Rows:
    """Split a text into rows; one without any content is left out."""
    lines: list[int] = []
    found: list[list[str]] = []
    long: set[int] = set()
    reader, start = form.reader(text), 1
    try:
        for cells in reader:
            if any(cells):
                if reader.line_num > start:
                    long.add(len(found))
                lines.append(start)
                found.append(cells)
            start = reader.line_num + 1
    except csv.Error:
        line, cell = _opening(text, form, start)
        fault = f"the quotation mark that opens the cell {shown(cell)} is not closed"
        if re.match(r'"[^"]*\\"', cell):
            raise _Fault(line, f'{fault} by \\"; write "" for a mark inside a cell') from None
        raise _Fault(line, f"{fault} where the cell ends; {_WAY_OUT}") from None
    return _Rows(lines, found, long)


def _opening(text: str, form: _Form, start: int) -> tuple[int, str]:
    """Find the cell, in the row that begins on line `start`, whose quotation is not closed."""
    end = rf"[{re.escape(form.delimiter)}\r\n]"
    cell = re.compile(rf' *"[^"]*(?:""[^"]*)*"(?={end}|\Z)|(?!")[^{end[1:]}*')
    tail = "".join(StringIO(text, newline="").readlines()[start - 1 :])
    position = 0
    while position < len(tail) and (whole := cell.match(tail, position)):
        position = whole.end() + 1
    line = start + len(_LINE_END.findall(tail[:position]))
    return line, _LINE_END.split(tail[position : position + 100])[0]


def _check_takes_in_no_rows(rows: _Rows, header: _Header, label: int) -> None:
    """Refuse a quotation whose every line looks like a row: the marks at its ends stand alone."""
    classes = {cells[label] for cells in rows.cells} if rows.long else set()
    delimiter = header.form.delimiter
    suspect = {}
    for n in sorted(rows.long):
        lines = _LINE_END.split(delimiter.join(rows.cells[n]))
        if _are_rows([line.split(delimiter) for line in lines], header, label, classes):
            suspect[n] = len(lines)
    # Two lines may look so by chance, in a file of many texts that take several lines.
    sure = [n for n, count in suspect.items() if count > 2]
    if sure or (suspect and 2 * len(suspect) >= len(rows.long)):
        n = (sure or list(suspect))[0]
        raise _Fault(
            rows.lines[n],
            f"the quotation mark that opens a cell here takes in {suspect[n]} lines that look "
            f"like rows; {_WAY_OUT}; if the cell is right so, set quoting: cells",
        )


def _are_rows(lines: list[list[str]], header: _Header, label: int, classes: set[str]) -> bool:
    if not all(header.fits(cells) for cells in lines):
        return False
    labels = [cells[label] for cells in lines]
    if 2 * sum(name in classes for name in labels) > len(labels):
        return True
    return len(labels) >= _MANY and 2 * len(set(labels)) <= len(labels)
