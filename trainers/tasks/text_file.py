"""Your own files: CSV, TSV, JSON lines, JSON or Parquet, plain or packed with gzip."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from trainers.data import (
    Columns,
    Dialect,
    Format,
    Misread,
    Quoting,
    find_path,
    label_order,
    likely_cause,
    make_examples,
    missing_message,
    read_table,
    refuse_unlabelled,
    setting_line,
)
from trainers.errors import ConfigError, DataError, SeveralFaults, known, shown
from trainers.interfaces import Corpus, Example, TextColumns
from trainers.tasks._sampled import SampledTask

Split = Literal["train", "validation", "test"]

_SPLITS: tuple[Split, ...] = get_args(Split)
_WRITTEN = ("format", "delimiter", "encoding", "quoting")
_USELESS = (
    ("delimiter", ("json", "jsonl", "parquet"), "csv and tsv"),
    ("quoting", ("json", "jsonl", "parquet"), "csv and tsv"),
    ("encoding", ("parquet",), "text files"),
)
_ESCAPE = re.compile(r"\\(?:\\|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[0-7]{3}|t)")
_NAMED = {"tab": "\t", "space": " ", "comma": ",", "semicolon": ";", "pipe": "|"}


def _unset(value: object) -> bool:
    """Leave an unset field out of a run's identity, which so is the same as before the field."""
    return value is None


def _delimiter(value: str) -> str:
    unescaped = _ESCAPE.sub(lambda found: ast.literal_eval(f"'{found[0]}'"), value)
    delimiter = _NAMED.get(value, unescaped)
    if not delimiter or any(sign in delimiter for sign in '"\r\n\0'):
        raise ConfigError(
            f"got {value!r}; allowed: one character or more, in quotes, such as ',' ';' '|' '::' "
            "or '\\t' (a tab); no quotation mark, line end or NUL"
        )
    return delimiter


def _encoding(value: str) -> str:
    try:
        "".encode(value)
    except (LookupError, ValueError):
        raise ConfigError(
            f"got {value!r}; allowed: a text encoding, such as utf-8, cp1252, utf-16"
        ) from None
    return value


def _one_of(names: tuple[str, ...]) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in names:
            *most, last = map(repr, names)
            raise ConfigError(f"got {value!r}; allowed: {', '.join(most)} or {last}")
        return value

    return check


_CHECKS: Mapping[str, Callable[[str], str]] = {
    "format": _one_of(get_args(Format)),
    "delimiter": _delimiter,
    "encoding": _encoding,
    "quoting": _one_of(get_args(Quoting)),
}


class TextFile(SampledTask):
    """One file a split, with a column of texts and a column of classes."""

    kind: Literal["text_file"] = "text_file"
    """Local files."""
    train: str = Field(min_length=1)
    """Training file. A relative path is searched beside the study, then in the data folder."""
    validation: str | None = Field(default=None, min_length=1)
    """Validation file; unset, validation is carved from train."""
    test: str = Field(min_length=1)
    """Test file."""
    text: str = "text"
    """Column of the text."""
    text_pair: str | None = None
    """Column of the second text, if the task is about pairs."""
    label: str = "label"
    """Column of the class: text or whole numbers."""
    format: Format | Mapping[Split, Format] | None = Field(default=None, exclude_if=_unset)
    """Format of the files; unset, by their names (`.csv`, `.tsv.gz`). This field and the next
    three are for all files, or by split, as in `{train: csv, test: json}`."""
    delimiter: str | Mapping[Split, str] | None = Field(default=None, exclude_if=_unset)
    """Delimiter of the cells of CSV and TSV, such as `'::'`; unset, the one of `,` `;`
    tab and `|` by which the header names the columns."""
    encoding: str | Mapping[Split, str] | None = Field(default=None, exclude_if=_unset)
    """Encoding of text files without a byte order mark, such as cp1252; unset, UTF-8."""
    quoting: Quoting | Mapping[Split, Quoting] | None = Field(default=None, exclude_if=_unset)
    """`cells`: a quotation mark that begins a cell opens a quotation, which may have delimiters
    and line ends. `none`: it is a character like another. Unset: `cells`, and in tab-separated
    files `none` unless every cell that begins with a mark is closed by one."""

    @field_validator(*_WRITTEN, mode="before")
    @classmethod
    def _for_all_or_by_split(cls, value: object, info: ValidationInfo) -> object:
        check = _CHECKS[info.field_name or ""]
        if not isinstance(value, Mapping):
            return _checked(value, check)
        found, faults = {}, []
        for split, each in value.items():
            try:
                found[split] = _checked(each, check)
            except ConfigError as error:
                faults.append(f"{split}: {error}")
            if split not in _SPLITS:
                faults.append(f"{split}: no such field; known: {known(_SPLITS)}")
        if faults:
            raise SeveralFaults(faults)
        return found

    @model_validator(mode="after")
    def _of_use(self) -> Self:
        """Refuse a setting without effect."""
        for field in _WRITTEN:
            value = getattr(self, field)
            if isinstance(value, Mapping) and "validation" in value and self.validation is None:
                raise ConfigError(f"{field}.validation: the task names no validation file")
        for field, useless, allowed in _USELESS:
            values = {split: getattr(self._dialect(split), field) for split in self._files()}
            set_for = [split for split, value in values.items() if value is not None]
            vain = [split for split in set_for if self._dialect(split).format in useless]
            if vain and (len(vain) == len(set_for) or isinstance(getattr(self, field), Mapping)):
                raise ConfigError(
                    f"{field}: got {values[vain[0]]!r} with format: "
                    f"{self._dialect(vain[0]).format}; allowed with {allowed}"
                )
        return self

    def read(self, data_dir: Path) -> Corpus:
        """Read the files; the classes are those found, in order."""
        try:
            rows = {split: self._read(split, data_dir) for split in self._files()}
        except Misread as misread:
            raise DataError(self._way_out(misread, data_dir)) from None
        labels = label_order(row.label for split in rows.values() for row in split)
        return Corpus(labels, rows["train"], rows.get("validation"), rows["test"])

    def text_columns(self) -> TextColumns:
        """Return the columns by the study's names."""
        return TextColumns(self.text, self.text_pair)

    def _files(self) -> dict[Split, str]:
        files: dict[Split, str] = {"train": self.train}
        if self.validation is not None:
            files["validation"] = self.validation
        return {**files, "test": self.test}

    def _dialect(self, split: Split) -> Dialect:
        fields = {field: getattr(self, field) for field in _WRITTEN}
        return Dialect(
            **{
                field: value.get(split) if isinstance(value, Mapping) else value
                for field, value in fields.items()
            }
        )

    def _read(self, split: Split, data_dir: Path) -> tuple[Example, ...]:
        name = self._files()[split]
        folders = self.folders(data_dir)
        path = find_path(name, folders)
        if path is None:
            said = missing_message(name, folders)
            why = likely_cause(name, folders)
            raise DataError(f"{self.name}: {split}: {name}: {said}{why and f'; {why}'}")
        columns = Columns(text=self.text, pair=self.text_pair, label=self.label)
        table = read_table(path, columns, self._dialect(split))
        try:
            refuse_unlabelled(table.columns[self.label], split, self.label)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        return tuple(make_examples(table, columns, where=str(path), split=split))

    def _way_out(self, misread: Misread, data_dir: Path) -> str:
        """Return the setting with which this and the task's other files are read correctly."""
        field, likely = misread.field, misread.likely
        reason = misread.reason.rstrip(":;")
        if likely is not None and not self._misreads(field, likely, data_dir):
            return str(misread)
        if getattr(self, field) is not None and not self._misreads(field, None, data_dir):
            return f"{reason}; leave {field} out"
        each = {split: self._misread(field, split, data_dir) for split in self._files()}
        values = {
            str(split): found.likely if found else getattr(self._dialect(split), field)
            for split, found in each.items()
        }
        if set(values.values()) == {likely}:
            return str(misread)
        line = setting_line(field, {split: value for split, value in values.items() if value})
        if field == "quoting":  # the mark may also be corrected, so the whole message is kept
            return f"{misread.reason} set {line}{misread.tail}"
        return f"{reason}; the files differ: set {line}"

    def _misread(self, field: str, split: Split, data_dir: Path) -> Misread | None:
        """Return how a file is misread without a field, if it is."""
        try:
            self._read(split, data_dir)
        except Misread as misread:
            return misread if misread.field == field else None
        except DataError:
            return None
        return None

    def _misreads(self, field: str, value: object, data_dir: Path) -> bool:
        """Return whether some file is misread with another value of a field."""
        other = self.model_copy(update={field: value})
        return any(other._misread(field, split, data_dir) for split in self._files())


def _checked(value: object, check: Callable[[str], str]) -> str | None:
    if value is None or isinstance(value, str):
        return None if value is None else check(value)
    raise ConfigError(f"got {shown(value)}; allowed: a text; put it in quotes")
