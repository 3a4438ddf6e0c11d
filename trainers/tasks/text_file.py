"""Your own files: CSV, TSV, JSON lines, JSON or Parquet, plain or packed with gzip."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from trainers.bases import Corpus, Example, TextColumns
from trainers.errors import ConfigError, DataError
from trainers.places import find, looked_in
from trainers.tasks.class_names import refuse_unlabelled
from trainers.tasks.formats import Format, Written, read_table
from trainers.tasks.sampled import SampledTask
from trainers.tasks.separated import Quoting
from trainers.tasks.tables import Columns, examples, label_order


def _unset(value: object) -> bool:
    """Leave an unset field out of a run's identity, as before there was such a field."""
    return value is None


class TextFile(SampledTask):
    """One file a split, with a column of texts and a column of classes."""

    kind: Literal["text_file"] = "text_file"
    """Local files."""
    train: str = Field(min_length=1)
    """Training file. A relative path is looked for beside the study, then in the data folder."""
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
    format: Format | None = Field(default=None, exclude_if=_unset)
    """What the files are; unset, their names say it (`.csv`, `.tsv.gz`)."""
    delimiter: str | None = Field(default=None, exclude_if=_unset)
    """Character between the cells of CSV and TSV; unset, the one by which the header names the
    columns."""
    encoding: str | None = Field(default=None, exclude_if=_unset)
    """Encoding of text files without a byte order mark, such as cp1252; unset, UTF-8."""
    quoting: Quoting | None = Field(default=None, exclude_if=_unset)
    """`cells`: a quotation mark that begins a cell opens a quotation, which may hold delimiters
    and line ends. `none`: it is a character like another. Unset: `cells`, and in tab-separated
    files `none` unless every cell that begins with a mark is closed by one."""

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, delimiter: str | None) -> str | None:
        delimiter = "\t" if delimiter in ("\\t", "tab") else delimiter
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n\0'):
            raise ConfigError(
                f"got {delimiter!r}; allowed: one character, such as ',' ';' '|' or '\\t' (a tab)"
            )
        return delimiter

    @field_validator("encoding")
    @classmethod
    def _text_encoding(cls, encoding: str | None) -> str | None:
        if encoding is None:
            return None
        try:
            "".encode(encoding)
        except (LookupError, ValueError):
            raise ConfigError(
                f"got {encoding!r}; allowed: a text encoding, such as utf-8, cp1252, utf-16"
            ) from None
        return encoding

    @model_validator(mode="after")
    def _of_use(self) -> Self:
        """Refuse a setting that changes nothing."""
        if self.format in ("json", "jsonl", "parquet"):
            for field in ("delimiter", "quoting"):
                if getattr(self, field) is not None:
                    raise ConfigError(
                        f"{field}: got {getattr(self, field)!r} with format: {self.format}; "
                        "allowed with csv and tsv"
                    )
        if self.format == "parquet" and self.encoding is not None:
            raise ConfigError(
                f"encoding: got {self.encoding!r} with format: parquet; allowed with text files"
            )
        return self

    def read(self, data_dir: Path) -> Corpus:
        """Read the files; the classes are those found, in order."""
        train = self._read(self.train, "train", data_dir)
        validation = (
            None
            if self.validation is None
            else self._read(self.validation, "validation", data_dir)
        )
        test = self._read(self.test, "test", data_dir)
        labels = label_order(row.label for row in (*train, *(validation or ()), *test))
        return Corpus(labels=labels, train=train, validation=validation, test=test)

    def text_columns(self) -> TextColumns:
        """Name the columns as the study does."""
        return TextColumns(self.text, self.text_pair)

    def _read(self, name: str, split: str, data_dir: Path) -> tuple[Example, ...]:
        folders = self.folders(data_dir)
        path = find(name, folders)
        if path is None:
            said = looked_in(name, folders)
            raise DataError(f"{self.name}: {split}: {name}: {said}")
        columns = Columns(text=self.text, pair=self.text_pair, label=self.label)
        written = Written(self.format, self.delimiter, self.encoding, self.quoting)
        table = read_table(path, columns, written)
        try:
            refuse_unlabelled(table.columns[self.label], split, self.label)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        return tuple(examples(table, columns, where=str(path), split=split))
