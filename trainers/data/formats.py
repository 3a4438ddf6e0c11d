"""Read a table from a file: CSV, TSV, JSON lines, JSON or Parquet, by its name or `format`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from trainers.data.decode import read_content, read_text
from trainers.data.headers import DELIMITERS, Quoting
from trainers.data.json_rows import read_json, read_json_lines
from trainers.data.separated import read_separated
from trainers.data.tables import Columns, Misread, Table
from trainers.errors import DataError

if TYPE_CHECKING:
    from pyarrow import ChunkedArray

Format = Literal["csv", "tsv", "jsonl", "json", "parquet"]

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
}


@dataclass(frozen=True)
class Dialect:
    """How files are written, as far as a task sets it; the rest is detected in each file."""

    format: Format | None = None
    delimiter: str | None = None
    encoding: str | None = None
    quoting: Quoting | None = None


def read_table(path: Path, columns: Columns, dialect: Dialect = Dialect()) -> Table:
    """Read the wanted columns of a file.

    Raises:
        DataError: No such file or column, or a file of another format than its name or the task.
    """
    form = dialect.format or _format_of(path)
    if form == "parquet":
        content = read_content(path)
    else:
        text = read_text(path, dialect.encoding)
    try:
        if form == "parquet":
            table = _read_parquet(content, columns)
        else:
            table = _read(form, text, columns, dialect)
    except Misread as misread:
        raise misread.in_file(path) from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    if not table.places:
        raise DataError(f"{path}: no rows")
    return table


def column_cells(column: ChunkedArray) -> list[object]:
    """Return the cells of an Arrow column; a 32-bit float as it was written, such as 0.1."""
    import pyarrow

    cells: list[object] = column.to_pylist()
    if not pyarrow.types.is_floating(column.type) or pyarrow.types.is_float64(column.type):
        return cells
    short = column.type.to_pandas_dtype()
    return [None if cell is None else float(str(short(cell))) for cell in cells]


def names_a_file(name: str) -> bool:
    """Return whether a name ends like that of a data file."""
    return Path(name.lower().removesuffix(".gz")).suffix in _SUFFIXES


def _read(form: Format, text: str, columns: Columns, dialect: Dialect) -> Table:
    if not text.strip():
        raise DataError("the file is empty")
    if form in ("json", "jsonl"):
        lines = form == "jsonl" and not text.lstrip().startswith("[")
        return read_json_lines(text, columns) if lines else read_json(text, columns)
    if text.lstrip().startswith(('{"', '[{"')):
        likely = "json" if text.lstrip().startswith("[") else "jsonl"
        raise Misread(f"the file looks like JSON, not {form};", "format", likely)
    if text.lstrip().startswith("__label__"):
        raise DataError("the file looks like fastText's; write it as CSV or JSON lines")
    usual = "\t" if form == "tsv" else ","
    tried = (dialect.delimiter,) if dialect.delimiter else dict.fromkeys((usual, *DELIMITERS))
    return read_separated(text, columns, delimiters=tuple(tried), quoting=dialect.quoting)


def _format_of(path: Path) -> Format:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    form = _SUFFIXES.get(suffixes[-1] if suffixes else "")
    if form is None:
        content = read_content(path)  # which refuses a folder or a workbook
        *most, last = get_args(Format)
        said = f"{path}: the name does not show the format; "
        likely = _likely_format(content)
        if likely is None:
            raise DataError(f"{said}set format: {', '.join(most)} or {last}")
        raise Misread(f"{said}it looks like {likely}:", "format", likely)
    return form


def _likely_format(content: bytes) -> Format | None:
    """Guess a file's format from its first bytes."""
    if content.startswith(b"PAR1"):
        return "parquet"
    head = content[:1024].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if head.startswith((b"{", b"[")):
        return "json" if head.startswith(b"[") or b":" not in head.splitlines()[0] else "jsonl"
    line = head.splitlines()[0] if head else b""
    return "tsv" if b"\t" in line else "csv" if re.search(rb"[,;|]", line) else None


def _read_parquet(content: bytes, columns: Columns) -> Table:
    import pyarrow
    import pyarrow.parquet

    if not content:
        raise DataError("the file is empty")
    if not content.startswith(b"PAR1"):
        likely = "jsonl" if content.lstrip().startswith(b"{") else "csv"
        raise Misread("no Parquet file;", "format", likely, ", or to its format")
    if not content.endswith(b"PAR1"):
        raise DataError("the Parquet file is cut off; copy or download it again")
    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content))
        names = file.schema_arrow.names
        lacking = columns.lacking(names)
        if lacking:
            raise DataError(lacking)
        for field, column in columns.fields().items():
            if names.count(column) > 1:
                raise DataError(f"two columns are named {column!r} ({field}); rename one")
        table = file.read(columns=list(columns.fields().values()))
        cells = {name: column_cells(table.column(name)) for name in columns.fields().values()}
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        # Arrow's message starts with a name for the open file that means nothing to a user.
        reason = str(error).partition("'<Buffer>': ")[2] or str(error)
        raise DataError(reason.splitlines()[0]) from None
    return Table(cells, range(1, table.num_rows + 1))
