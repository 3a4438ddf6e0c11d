"""Read a file as text: unpack and decode it, or refuse it in one line."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from pathlib import Path

from trainers.data.tables import Misread, shown_cell
from trainers.errors import DataError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_GZIP = b"\x1f\x8b"
_UNPACK = "unpack it, or pack it with gzip"
_NO_TABLES = (
    (
        b"version https://git-lfs",
        "the pointer to a Git LFS file, not the file itself; run `git lfs pull`",
    ),
    (b"PK\x03\x04", "an Excel workbook or a zip archive; save the sheet as CSV, or unpack it"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook; save the sheet as CSV"),
    (b"BZh", f"packed with bzip2; {_UNPACK}"),
    (b"\xfd7zXZ", f"packed with xz; {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"packed with zstd; {_UNPACK}"),
    (b"%PDF", "a PDF file; save its table as CSV"),
    (b"SQLite format 3", "an SQLite database; export its table as CSV"),
    (b"\x89HDF", "an HDF5 file; save its table as CSV or Parquet"),
    (b"\x93NUMPY", "an array of NumPy; save its rows as CSV or JSON lines"),
    (b"{\\rtf", "a document in rich text; save it as plain text"),
    (b"<?xml", "an XML file; save its rows as CSV or JSON lines"),
    (b"ARROW1", "an Arrow file; save it as Parquet"),
)
_PARQUET = b"PAR1"
_PAGE = re.compile(rb"\s*<(!doctype\s+)?html\b", re.IGNORECASE)
_LINE_END = re.compile(r"\r\n|\r|\n")
_EUROPEAN = ("cp1252", "cp1250", "iso8859-2", "mac-roman", "cp850")
_APOSTROPHE = "\u2019\xb7"  # l'eau, and the point of Catalan
# Letters and signs that follow one another in a text of Western Europe.
_MOST_IN_A_ROW = 2
# Shares of a text's bytes: a quarter is every fourth of them, or half of the letters of UTF-16.
_NEARLY_ALL, _MOST = 0.9 / 4, 1 / 4


def read_content(path: Path) -> bytes:
    """Read a file's bytes, unpacked where gzip packed them, whatever the file's name.

    Raises:
        DataError: The file is missing, unreadable, damaged, or has no table.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DataError(f"{path}: no file, but a pipe or a device; save its content as a file")
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        raise DataError(f"{path}: a folder; allowed: a file") from None
    except PermissionError:
        raise DataError(f"{path}: you may not read it; `chmod u+r` gives the right") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    if content.startswith(_GZIP):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error):
            raise DataError(
                f"{path}: the gzip file is damaged or cut off; copy or download it again"
            ) from None
        if content.startswith(_GZIP):
            raise DataError(f"{path}: packed with gzip twice; unpack it once")
    for begin, reason in _NO_TABLES:
        if content.startswith(begin):
            raise DataError(f"{path}: {reason}")
    if content[257:262] == b"ustar":
        raise DataError(f"{path}: a tar archive; unpack it, and name the file that was in it")
    if _PAGE.match(content):
        raise DataError(f"{path}: a web page; download the data file itself")
    return content


def read_text(path: Path, encoding: str | None = None) -> str:
    """Read a text file, without its byte order mark.

    Args:
        path: The file.
        encoding: Encoding of a file without a byte order mark; None: UTF-8.

    Raises:
        DataError: As `read_content`, or bytes that are invalid in that encoding.
    """
    content = read_content(path)
    if content.startswith(_PARQUET):
        raise Misread(f"{path}: a Parquet file;", "format", "parquet")
    marked = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    used = marked or encoding or "utf-8"
    if marked is None:
        _check_width(content, path, used)
        if codecs.lookup(used).name.startswith(("utf-16", "utf-32")):
            _check_wide(content, path, used)
    try:
        text = content.decode(used)
    except UnicodeDecodeError as error:
        raise _undecoded(content, error, used, path) from None
    except UnicodeError as error:
        raise DataError(f"{path}: not {used}: {error}") from None
    if "\0" in text:
        line = _line(text[: text.index("\0")])
        raise DataError(
            f"{path}: line {line}: got a NUL character, which no text has; take it out, or set "
            "encoding to the one the file was saved in"
        )
    if marked is None and not codecs.lookup(used).name.startswith("utf-"):
        _check_not_utf8(content, path, used)
    return text.removeprefix("\ufeff").removesuffix("\x1a")  # DOS's end of a text


def _line(before: str) -> int:
    return len(_LINE_END.findall(before)) + 1


def _undecoded(content: bytes, error: UnicodeDecodeError, used: str, path: Path) -> DataError:
    before = content[: error.start].decode(used, errors="ignore")
    name = "UTF-8" if used == "utf-8" else used
    fault = f"{path}: line {_line(before)}: the byte 0x{content[error.start]:02x} is not {name}"
    if error.end >= len(content) and re.search("end of data|truncated", error.reason):
        return DataError(f"{fault}; the file looks cut off: copy or download it again")
    utf8 = content.decode(errors="replace")
    if "\ufffd" not in utf8:
        return Misread(f"{fault}; the file is UTF-8:", "encoding", None)
    if used == "utf-8" and len(re.findall("[^\0-\x7f\ufffd]", utf8)) > utf8.count("\ufffd"):
        return DataError(f"{fault}, as the rest of the file is; correct that line")
    likely = _likely(content)
    if likely is None:
        step = "set encoding to the one the file was saved in, or save it as UTF-8"
        return DataError(f"{fault}; {step}")
    start = max(content.rfind(b"\n", 0, error.start), content.rfind(b"\r", 0, error.start)) + 1
    reads = content[start : error.start + 20].decode(likely, errors="replace").splitlines()[0]
    said = f"{fault}; as {likely} it reads {shown_cell(reads)}:"
    return Misread(said, "encoding", likely, " if that is right")


def _likely(content: bytes) -> str | None:
    """Guess an encoding from the bytes beyond ASCII; for single ones, Europe's first."""
    runs = [len(run) for run in re.findall(b"[\x80-\xff]+", content)]
    if sum(run for run in runs if run > _MOST_IN_A_ROW) * 2 < sum(runs):
        readings = {each: content[: 1 << 16] for each in _EUROPEAN if _decodes(content, each)}
        odd = {each: _odd_signs(head.decode(each)) for each, head in readings.items()}
        if odd:
            return min(odd, key=lambda each: odd[each])
    from charset_normalizer import from_bytes

    best = from_bytes(content[: 1 << 16]).best()
    return None if best is None or best.encoding in ("ascii", "utf_8") else best.encoding


def _odd_signs(text: str) -> int:
    """Count capital letters and signs within words, and characters that no text has."""
    return sum(
        not (sign.isprintable() or sign.isspace())
        or (
            before.islower() and after.islower() and not sign.islower() and sign not in _APOSTROPHE
        )
        for before, sign, after in zip(text, text[1:], text[2:], strict=False)
        if sign > "\x7f"
    )


def _check_width(content: bytes, path: Path, used: str) -> None:
    """Refuse UTF-16 and UTF-32 where another encoding is set."""
    name = codecs.lookup(used).name
    likely = _wide(content)
    if likely in (None, name, f"{name}-le"):  # without a mark, utf-16 is read as utf-16-le
        return
    form = likely[:6]
    how = "in the other byte order" if form in name else "without a byte order mark"
    said = f"{path}: the file looks like {form.upper()} {how}:"
    raise Misread(said, "encoding", likely)


def _wide(content: bytes) -> str | None:
    """Return UTF-16 or UTF-32, by the places of bytes of 0; None: it is neither."""
    head = content[: 1 << 12]
    if b"\0" not in head:
        return None
    zeros = [head[n::4].count(0) / len(head) for n in range(4)]
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    if min(zeros[2:]) > _NEARLY_ALL or min(zeros[:2]) > _NEARLY_ALL:
        return "utf-32-le" if zeros[3] > zeros[0] else "utf-32-be"
    likely = "utf-16-le" if odd > even else "utf-16-be"
    if max(even, odd) > _MOST:
        return likely
    if min(even, odd) or _decodes(content, "utf-8"):
        return None
    return likely if _decodes(content, likely) else None  # few letters of it are ASCII


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _check_wide(content: bytes, path: Path, used: str) -> None:
    """Refuse a file without a NUL byte: in UTF-16 and UTF-32 every line end has one."""
    if b"\0" in content:
        return
    try:
        content.decode()
    except UnicodeDecodeError:
        likely = _likely(content)
        tail = ", which it looks like" if likely else ""
        raise Misread(f"{path}: the file is not {used};", "encoding", likely, tail) from None
    raise Misread(f"{path}: the file is UTF-8, not {used};", "encoding", None)


def _check_not_utf8(content: bytes, path: Path, used: str) -> None:
    """Refuse a UTF-8 file that another encoding would silently turn into wrong letters."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return
    found = re.search("[^\0-\x7f]", text)
    if found is None:
        return
    line = _line(text[: found.start()])
    reads = shown_cell(text[max(0, found.start() - 10) : found.start() + 10])
    said = f"{path}: line {line}: the file is UTF-8 ({reads}), not {used};"
    raise Misread(said, "encoding", None, f", or save it as {used}")
