"""Your own files: CSV, TSV, JSON lines or Parquet, by the suffix of the name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from trainers.bases import Corpus, Example, TextColumns
from trainers.errors import MissingData
from trainers.places import find, looked_in
from trainers.tasks.sampled import SampledTask
from trainers.tasks.tables import Columns, examples, label_order, read_rows


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
            raise MissingData(f"{self.name}: {split}: {name}: {said}")
        columns = Columns(text=self.text, pair=self.text_pair, label=self.label)
        return tuple(examples(read_rows(path), columns, where=str(path), split=split))
