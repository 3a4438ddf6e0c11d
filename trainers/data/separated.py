"""Read CSV, TSV and other separated text; an error names the line where a fault begins."""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import StringIO

from trainers.data.headers import (
    DELIMITERS,
    LINE_END,
    Form,
    Header,
    Quoting,
    find_header,
    standing_for,
)
from trainers.data.tables import Columns, Misread, Table, shown_cell
from trainers.errors import DataError

_OWN_DELIMITER = re.compile(r'"?sep=(.)"?(?=[\r\n])')
_BEGINS_QUOTED = re.compile(r'(?:^|[\t\r\n])"')
_NO_SPACE = "take out the space before the quotation mark"
_WAY_OUT = (
    'take it out, or write it "" inside a quoted cell; where quotation marks are characters like '
    "others,"
)
_MANY = 6
_RULE = re.compile(r"\s*:?-{2,}:?\s*|\s*=+\s*")


@dataclass(frozen=True)
class _ParsedRows:
    """The rows below a header, without the header."""

    lines: list[int]
    """First line of each row."""
    cells: list[list[str]]
    long: set[int]
    """Rows that take more than one line."""


def read_separated(
    text: str, columns: Columns, *, delimiters: Sequence[str], quoting: Quoting | None
) -> Table:
    """Read a table from a text whose first line names the columns.

    Args:
        text: The whole file.
        columns: Which columns to take.
        delimiters: The one that the task sets, or those to try in turn on the header.
        quoting: Whether a quotation mark at the start of a cell opens a quotation. Unset, it
            does, and cells that seem to include whole rows are refused; with tabs as delimiter
            it does only if every cell that begins with such a mark ends with one.

    Raises:
        DataError: The fault and its line; the caller adds the file.
    """
    own = _OWN_DELIMITER.match(text)
    if own:
        text, delimiters = text[own.end() :], (own[1],)
    header = find_header(text, columns, delimiters, quoting)
    text, form = standing_for(text, header.form.name, header.form)
    header = replace(header, form=form)
    wanted = {}
    for field, column in columns.fields().items():
        places = header.places(column)
        if len(places) > 1:
            raise _at(1, f"two columns are named {column!r} ({field}); rename one")
        wanted[column] = places[0]
    rows = _rows(text, header, wanted[columns.label], quoting)
    if rows.cells and all(_RULE.fullmatch(rows.cells[0][place]) for place in wanted.values()):
        raise _at(rows.lines[0], "a rule under the header, as in Markdown; save the table as CSV")
    cells = {name: [row[place] for row in rows.cells] for name, place in wanted.items()}
    if form.meant:
        cells = {name: list(map(form.cell, column)) for name, column in cells.items()}
    for label in set(cells[columns.label]) if form.quoted else ():
        if re.match(r'\s+"', label):
            line = rows.lines[cells[columns.label].index(label)]
            raise _at(line, f"{columns.label}: got {shown_cell(label)}; {_NO_SPACE}")
    return Table(columns=cells, places=rows.lines, unit="line")


def split_lines(text: str) -> list[list[str]]:
    """Split comma-separated text without a header into cells."""
    return _parse(text, Form(",")).cells


def _rows(text: str, header: Header, label: int, quoting: Quoting | None) -> _ParsedRows:
    if quoting is not None:
        return _fitting(text, header)
    if header.form.delimiter == "\t":
        return _tabbed(text, header, label)
    rows = _fitting(text, header)
    _check_takes_in_no_rows(rows, header, label)
    return rows


def _tabbed(text: str, header: Header, label: int) -> _ParsedRows:
    """Read a tab-separated text, as quoted only if that explains every mark at a cell's start."""
    plain = replace(header, form=replace(header.form, quoted=False))
    if not _BEGINS_QUOTED.search(text):
        return _fitting(text, plain)
    header_quoted = text.lstrip().startswith('"')  # then cells are
    try:
        rows = _fitting(text, header)
        _check_takes_in_no_rows(rows, header, label)
    except DataError:
        if header_quoted:
            raise
        return _fitting(text, plain)
    if (
        rows.long and not header_quoted
    ):  # if each line is a row with a class, the marks at its ends are characters
        with contextlib.suppress(DataError):
            single = _fitting(text, plain)
            return single if all(cells[label].strip() for cells in single.cells) else rows
    return rows


def _fitting(text: str, header: Header) -> _ParsedRows:
    """Parse the rows and check their width."""
    rows = _parse(text, header.form)
    below = next(n for n, line in enumerate(rows.cells) if any(map(str.strip, line))) + 1
    full = len(header.names)
    kept, blank = range(below, len(rows.cells)), set()
    for n in kept:
        cells = rows.cells[n]
        if len(cells) != full and not header.fits(cells):
            if any(map(str.strip, cells)):
                raise _uneven(rows.lines[n], cells, header)
            blank.add(n)
    left = [n for n in kept if n not in blank] if blank else kept
    return _ParsedRows(
        lines=[rows.lines[n] for n in left],
        cells=[rows.cells[n] for n in left],
        long={place for place, n in enumerate(left) if n in rows.long} if rows.long else set(),
    )


def _at(line: int, reason: str) -> DataError:
    """Return an error with the line where it begins."""
    return DataError(f"line {line}: {reason}")


def _uneven(line: int, cells: Sequence[str], header: Header) -> DataError:
    names = ", ".join(name for name in header.names if name.strip())
    form = header.form
    reason = (
        f"line {line}: got {len(cells)} cell{'s' * (len(cells) != 1)}, the header names "
        f"{len(header.names)} ({names}) separated by {form.name!r};"
    )
    if len(cells) < len(header.names):
        if not form.quoted and '"' in "".join(cells):
            said = f"{reason} where quotation marks enclose cells,"
            return Misread(said, "quoting", "cells")
        width = len(header.names) - 1
        other = next((each for each in DELIMITERS if cells[0].count(each) == width), None)
        looks = f" this line looks separated by {other!r}" if other and len(cells) == 1 else ""
        return DataError(f"{reason}{looks}".removesuffix(";"))
    lines = len(LINE_END.findall("".join(cells))) + 1
    if lines > 1:
        said = f"{reason} the quotation of a cell here includes {lines} lines: {_WAY_OUT}"
        return Misread(said, "quoting", "none")
    if any(re.match(r'\s+"', cell) for cell in cells) and form.quoted:
        return DataError(f"{reason} {_NO_SPACE}")
    if form.quoted:
        others = any(re.match("['‘“„«]", cell.lstrip()) for cell in cells)  # noqa: RUF001
        which = ' of the form "' if others else ""
        return DataError(f"{reason} put a text with {form.name!r} in quotation marks{which}")
    said = f"{reason} put a text with {form.name!r} in quotation marks, and"
    return Misread(said, "quoting", "cells")


def _parse(text: str, form: Form) -> _ParsedRows:
    """Split a text into rows; leave blank ones out."""
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
        fault = f"the quotation mark that opens the cell {shown_cell(cell)} is not closed"
        if re.match(r'"[^"]*\\"', cell):
            raise _at(line, f'{fault} by \\"; write "" for a mark inside a cell') from None
        said = f"line {line}: {fault} where the cell ends; {_WAY_OUT}"
        raise Misread(said, "quoting", "none") from None
    return _ParsedRows(lines, found, long)


def _opening(text: str, form: Form, start: int) -> tuple[int, str]:
    """Find the cell, in the row that begins on line `start`, whose quotation is not closed."""
    end = rf"[{re.escape(form.delimiter)}\r\n]"
    cell = re.compile(rf' *"[^"]*(?:""[^"]*)*"(?={end}|\Z)|(?!")[^{end[1:]}*')
    tail = "".join(StringIO(text, newline="").readlines()[start - 1 :])
    position = 0
    while position < len(tail) and (whole := cell.match(tail, position)):
        position = whole.end() + 1
    line = start + len(LINE_END.findall(tail[:position]))
    return line, form.cell(LINE_END.split(tail[position : position + 100])[0])


def _check_takes_in_no_rows(rows: _ParsedRows, header: Header, label: int) -> None:
    """Refuse a quotation whose every line looks like a row: its marks are characters."""
    classes = {cells[label] for cells in rows.cells} if rows.long else set()
    delimiter = header.form.delimiter
    suspect = {}
    for n in sorted(rows.long):
        lines = LINE_END.split(delimiter.join(rows.cells[n]))
        if _are_rows([line.split(delimiter) for line in lines], header, label, classes):
            suspect[n] = len(lines)
    # Two lines may look so by chance, in a file of many texts that take several lines.
    sure = [n for n, count in suspect.items() if count > 2]
    if sure or (suspect and 2 * len(suspect) >= len(rows.long)):
        n = (sure or list(suspect))[0]
        said = (
            f"line {rows.lines[n]}: the quotation mark that opens a cell here includes "
            f"{suspect[n]} lines that look like rows; {_WAY_OUT}"
        )
        tail = "; if the cell is correct, set quoting: cells"
        raise Misread(said, "quoting", "none", tail)


def _are_rows(lines: list[list[str]], header: Header, label: int, classes: set[str]) -> bool:
    if not all(header.fits(cells) for cells in lines):
        return False
    labels = [cells[label] for cells in lines]
    if 2 * sum(name in classes for name in labels) > len(labels):
        return True
    return len(labels) >= _MANY and 2 * len(set(labels)) <= len(labels)
