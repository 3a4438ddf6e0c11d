"""A file's bytes become text, or one line says what they are and what to do."""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
from pathlib import Path

import pytest

from trainers.data.decode import read_text
from trainers.errors import DataError

TEXT = "text,label\ncafé “x” €, Öl,pos\n"
CHINESE = f"text,label\n{'好的东西很多真的不错' * 40},pos\n"
CYRILLIC = "text,label\nочень хорошо,да\nвсё плохо и долго,нет\n"  # noqa: RUF001


def _pack(content: bytes) -> bytes:
    """Pack content the same way whenever: a test's name has no time in it."""
    return gzip.compress(content, mtime=0)


def read(folder: Path, content: bytes, encoding: str | None = None) -> str:
    """Read such a file."""
    (folder / "t.csv").write_bytes(content)
    return read_text(folder / "t.csv", encoding)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (TEXT.encode(), None),
        (TEXT.encode("utf-8-sig"), None),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), None),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), None),
        (codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), None),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "utf-16"),
        (TEXT.encode("utf-16-le"), "utf-16-le"),
        (TEXT.encode("cp1252"), "cp1252"),
        (TEXT.encode("utf-8-sig"), "cp1252"),
        (TEXT.encode("utf-8-sig"), "utf-8-sig"),
        (TEXT.encode(), "U8"),
        (_pack(TEXT.encode()), None),
        (_pack(TEXT.encode("cp1252")), "cp1252"),
    ],
)
def test_every_encoding_gives_the_same_text(
    content: bytes, encoding: str | None, tmp_path: Path
) -> None:
    """A byte order mark says it, else the task does; gzip is seen in the bytes."""
    assert read(tmp_path, content, encoding) == TEXT


def archive() -> bytes:
    """Make a zip archive, as Excel's workbooks are."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("xl/workbook.xml", "<workbook/>")
    return out.getvalue()


DISHES = "text,label\nTrès bon café, crème brûlée,a\nSchöne Grüße, l’addition,b\n"  # noqa: RUF001
POLISH = "text,label\nZła jakość, żółte światło,a\nMiło spędziłem czas,b\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *((DISHES, each) for each in ("cp1252", "mac-roman", "cp850")),
        *((POLISH, each) for each in ("cp1250", "iso8859-2")),
    ],
)
def test_the_likely_encoding_is_the_one_whose_words_are_words(
    text: str, encoding: str, tmp_path: Path
) -> None:
    """No capital letter and no sign stands within a word."""
    (tmp_path / "t.csv").write_bytes(text.encode(encoding, errors="ignore"))
    with pytest.raises(DataError, match=f"set encoding: {encoding} if that is right"):
        read_text(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (
            TEXT.encode("cp1252"),
            None,
            "line 2: the byte 0xe9 is not UTF-8; as cp1252 it reads 'café.*set encoding: cp1252",
        ),
        (CYRILLIC.encode("cp1251"), None, "line 2: .*'очень хорошо.*set encoding: cp1251"),
        (
            TEXT.encode() + b"caf\xe9\n",
            None,
            "line 3: .* as the rest of the file is; correct",
        ),
        (TEXT.encode() + "é".encode()[:1], None, "line 3: .*the file looks cut off"),
        (TEXT.encode(), "ascii", "line 2: the byte 0xc3 is not ascii; the file is UTF-8: leave"),
        (TEXT.encode(), "latin-1", "line 2: the file is UTF-8 .* not latin-1; leave encoding out"),
        (TEXT.encode("utf-16-le"), None, "UTF-16 without a byte order mark: set .*utf-16-le$"),
        (TEXT.encode("utf-16-be"), None, "UTF-16 without a byte order mark: set .*utf-16-be$"),
        (TEXT.encode("utf-32-le"), None, "UTF-32 without a byte order mark: set .*utf-32-le$"),
        (TEXT.encode("utf-32-be"), None, "UTF-32 without a byte order mark: set .*utf-32-be$"),
        (CHINESE.encode("utf-16-le"), None, "UTF-16 without a byte order mark: set .*-16-le$"),
        (CHINESE.encode("utf-16-be"), "cp1252", "UTF-16 without a byte .*: set .*utf-16-be$"),
        (TEXT.encode("utf-16-le"), "utf-16-be", "UTF-16 in the other byte order: set .*-16-le$"),
        (b"SQLite format 3\0", None, "an SQLite database; export its table as CSV"),
        (b"<?xml version='1.0'?>", None, "an XML file; save its rows as CSV or JSON lines"),
        (TEXT.encode() + b"x", "utf-16", "the file is UTF-8, not utf-16; leave encoding out$"),
        (TEXT.encode("cp1252"), "utf-16-le", "the file is not utf-16-le; set encoding: cp1252"),
        (_pack(_pack(TEXT.encode())), None, "packed with gzip twice; unpack it once$"),
        (b"a.csv".ljust(257, b"\0") + b"ustar", None, "a tar archive; unpack it"),
        (b"text,label\na\0b,pos\n", None, "line 2: got a NUL character"),
        (archive(), None, "an Excel workbook or a zip archive; save the sheet as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", None, "an Excel workbook; save the sheet as CSV"),
        (b"PAR1\0\0", None, "a Parquet file; set format: parquet"),
        (b"BZh91AY", None, "packed with bzip2; unpack it"),
        (b"\xfd7zXZ\0", None, "packed with xz; unpack it"),
        (b"%PDF-1.7", None, "a PDF file"),
        (b"version https://git-lfs.github.com/spec/v1\noid", None, "run `git lfs pull`"),
        (b"\n<!DOCTYPE html>\n<html>", None, "a web page; download the data file itself"),
        (
            _pack(TEXT.encode() * 50)[:-20],
            None,
            "gzip file is damaged or cut off",
        ),
        (
            _pack(TEXT.encode())[:20] + b"xxxxxxxxxxxx",
            None,
            "gzip file is damaged",
        ),
    ],
)
def test_bytes_that_are_no_text_are_named(
    content: bytes, encoding: str | None, message: str, tmp_path: Path
) -> None:
    """The error says the line, the byte, what the file looks like and what to do."""
    with pytest.raises(DataError, match=rf"t\.csv: .*{message}") as caught:
        read(tmp_path, content, encoding)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """The path of a folder is named as one."""
    with pytest.raises(DataError, match=r"a folder; allowed: a file$"):
        read_text(tmp_path)
